"""How often each pin of a mapped head toggles: a short simulation of the gates on random tokens.

Tokens follow one another without a gap, with uniform codes. Converter pulses begin with their
phase, on half of the lanes, and each ends in a cycle with probability 1/8; signs are uniform. For
quiet tokens all codes are 0 and there is no pulse: what then toggles does so for any token.
Delays are zero, so glitches are not counted.
"""

import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import ToolError
from common.processes import run

__all__ = ["Measured", "TokenBench", "random_duty", "toggles_per_cycle"]

WARM_UP, TOKENS = 4, 4
"""Tokens before the measurement, and in it."""
LANES, STAYS = 1 / 2, 7 / 8
"""Share of the lanes on which a pulse begins, and share of pulses that last another cycle."""

BENCH = """
`timescale 1ps / 1ps
module bench;
  reg clk = 0, rst = 1;
  always #500 clk = ~clk;
  integer accepted = 0, cycle = 0, first = 0, seed = 1, i, chosen;
  reg quiet = 0;
{declarations}
  {top} head ({connections});
  function [{widest}:0] noise(input integer unused);
    for (i = 0; i <= {widest} / 32; i = i + 1) noise[32*i+:32] = quiet ? 0 : $random(seed);
  endfunction
  function [{widest}:0] most(input integer unused);
    most = noise(0) | noise(0) | noise(0);
  endfunction
  reg was_activate = 0, was_convert = 0;
  always @(posedge clk) if (!rst) begin
    cycle <= cycle + 1;
    was_activate <= {activate} === 1;
    was_convert <= {convert} === 1;
    {phi} <= {activate} !== 1 ? 0 : was_activate ? {phi} & most(0) : noise(0);
    {pulse} <= {convert} !== 1 ? 0 : was_convert ? {pulse} & most(0) : noise(0);
    if ({convert} === 1 && !was_convert) {negative} <= noise(0);
    if (result__valid === 1) $display("result %h", result__payload);
    if (token__ready === 1) begin
      accepted <= accepted + 1;
      token__payload <= noise(0) & ~{flags};
      if (accepted == {warm_up}) begin
        first = cycle;
        if ($test$plusargs("record")) begin
          $dumpfile("{vcd}");
          $dumpvars(0, head);
        end
      end
      if (accepted == {warm_up} + {tokens}) begin
        $display("cycles %0d", cycle - first);
        $finish;
      end
    end
  end
  initial begin
    quiet = $test$plusargs("quiet") != 0;
    if (!$value$plusargs("schedule=%d", chosen)) chosen = 0;
    {schedule} token__valid = 1;
    result__ready = 1;
    token__payload = 0;
    repeat (2) @(negedge clk);
    rst = 0;
  end
endmodule
"""


class Measured(NamedTuple):
    """Length of the measured part of a simulation."""

    cycles: int

    @property
    def cycles_per_token(self) -> float:
        """Cycles between tokens."""
        return self.cycles / TOKENS


def random_duty(cycles: int) -> float:
    """Mean width of the random pulses in a phase of so many cycles, as a share of it."""
    return LANES * sum(STAYS**cycle for cycle in range(cycles)) / cycles


@dataclass(frozen=True)
class TokenBench:
    """A head compiled for Icarus, with random tokens around it; folder: where it runs."""

    binary: Path
    folder: Path

    @classmethod
    def compiled(cls, sources: list[Path], contract: dict[str, Any], folder: Path) -> "TokenBench":
        """Compile a head of `sources` (Verilog, of RTL or of cells) in `folder`.

        Raises `ToolError` if Icarus is missing or fails.
        """
        for tool in ("iverilog", "vvp"):
            if shutil.which(tool) is None:
                raise ToolError(f"{tool} is not on PATH: `make synth` installs it")
        bench, binary = folder / "activity.v", folder / f"activity.{sources[0].stem}.vvp"
        bench.write_text(_bench(contract), "utf-8")
        files = [str(path.resolve()) for path in (*sources, bench)]
        _run(["iverilog", "-g2012", "-s", "bench", "-o", str(binary.resolve()), *files], folder)
        return cls(binary.resolve(), folder)

    def run(
        self, schedule: int = 0, quiet: bool = False, record: bool = False
    ) -> tuple[list[str], Measured]:
        """Run random (quiet) tokens in a schedule.

        Returns the results in hexadecimal and the length of the measured part; record: it is in
        `activity.vcd`. Raises `ToolError` if Icarus fails.
        """
        flags = [f"+{name}" for name, on in (("quiet", quiet), ("record", record)) if on]
        command = ["vvp", "-n", str(self.binary), f"+schedule={schedule}", *flags]
        lines = _run(command, self.folder).splitlines()
        results = [line.split()[1] for line in lines if line.startswith("result ")]
        cycles = [int(line.split()[1]) for line in lines if line.startswith("cycles ")]
        if not cycles:
            raise ToolError(f"{self.binary}: the simulation ended without a result")
        return results, Measured(cycles[0])


def _run(command: list[str], folder: Path) -> str:
    done = run(command, cwd=folder, capture_output=True)
    if done.returncode:
        log = folder / "activity.log"
        log.write_text(done.stdout + done.stderr, "utf-8")
        raise ToolError(f"{Path(command[0]).name} failed: see {log}")
    return done.stdout


def _bench(contract: dict[str, Any]) -> str:
    ports = {port["name"]: port for port in contract["ports"]}
    last = {name.split("__")[-1]: name for name in ports}
    declarations = [
        f"  {'reg' if port['direction'] == 'input' else 'wire'} [{port['width'] - 1}:0] {name}"
        f"{' = 0' if port['direction'] == 'input' else ''};"
        for name, port in ports.items()
    ]
    fields = contract["payloads"]["token__payload"].values()
    flags = sum(1 << field["offset"] for field in fields if field["lanes"] * field["bits"] == 1)
    width = ports["token__payload"]["width"]
    return BENCH.format(
        top=contract["top"],
        declarations="\n".join(declarations),
        connections=", ".join(f".{name}({name})" for name in ("clk", "rst", *ports)),
        widest=max(port["width"] for port in ports.values()) // 32 * 32 + 31,
        activate=last["activate"],
        convert=last["convert"],
        phi=last["phi"],
        pulse=last["out_pulse"],
        negative=last["out_negative"],
        flags=f"{width}'h{flags:x}",
        warm_up=WARM_UP,
        tokens=TOKENS,
        vcd="activity.vcd",
        schedule="schedule = chosen;" if "schedule" in ports else "",
    )


def toggles_per_cycle(vcd: Path, cycles: int) -> dict[str, float]:
    """Changes per cycle of every one-bit variable below the head, by its path.

    Paths are as in the netlist: `control/window/_12_/ZN` is a pin of a cell.
    """
    names: dict[str, list[str]] = defaultdict(list)
    scope: list[str] = []
    counts: dict[str, int] = defaultdict(int)
    with vcd.open(encoding="utf-8") as lines:
        for line in lines:
            word = line.split()
            if line.startswith("$scope"):
                scope.append(word[2])
            elif line.startswith("$upscope"):
                scope.pop()
            elif line.startswith("$var") and word[2] == "1":
                names[word[3]].append("/".join([*scope[2:], word[4]]).replace(".", "/"))
            elif line.startswith("$dumpvars"):
                break
        level: dict[str, str] = {}
        for line in lines:
            if line[0] in "01" and (code := line[1:].rstrip()) in names:
                if level.get(code, line[0]) != line[0]:
                    counts[code] += 1
                level[code] = line[0]
    return {name: counts[code] / cycles for code, paths in names.items() for name in paths}
