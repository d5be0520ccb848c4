"""Co-simulate the shipped language model's attention on real text and check every output code.

    python -m cosim.sim [--sim NAME] [--workers N] [--schedule NAME] [--gates] [--waves]
                        [--stalls N] [--seed N] [--imperfections NAME] [--device N]

Runs all heads of the model on a held-out passage, then one head without flush until its window has
wrapped, each on the full-size Verilog coupled to the analog model. With --gates that is the
netlist of osu018's cells, which takes half a second a token: then only a few tokens. With
--imperfections the RTL is held against the golden head with the same hardware and the same noise.
"""

import argparse
from pathlib import Path

from analog_models.spec import DEFAULT_PRESET, HardwareSpec, find_spec, overlaid
from common.arguments import natural
from common.errors import run_command
from common.files import write_json
from common.tables import table
from cosim.arguments import (
    add_back_pressure,
    add_imperfections,
    add_schedule,
    add_simulator,
    command_parser,
)
from cosim.reference.golden_streams import Golden, load_golden
from cosim.run.building import build
from cosim.run.stream import Replay, Run, replay
from cosim.token_plot import plot_token

WAVE_TOKENS = 6


def main() -> int:
    """Command line: 0 if all codes agree, 1 if not, 2 on an error."""
    args = _arguments()
    spec = find_spec(args.spec)
    golden = load_golden(spec, args.golden)
    schedule = args.schedule or next(iter(spec.schedules))
    options = {"max_gap": args.stalls, "max_stall": args.stalls, "seed": args.seed}
    options |= {"device": args.device}
    if args.imperfections:
        spec = overlaid(spec, args.imperfections)
    streams = [golden.passage_stream(args.tokens), golden.wrap_stream(args.wrap_tokens)]
    done = replay(spec, streams, [schedule], args.sim, args.workers, gates=args.gates, **options)
    folder = args.build / "sim"
    write_json(folder / "run.json", done.result() | {"schedule": schedule, "gates": args.gates})
    _print_report(done, golden, args.tokens)
    last = done.runs[-1]
    title = f"One token's life: the last of {last.name}, co-simulated, schedule {schedule}"
    plot = plot_token(spec, schedule, last.job, last.outcome, title, folder / "token.png")
    print(f"plot:      {plot}")
    if args.waves:
        print(f"waveforms: {_waves(spec, schedule, golden, args)}")
    print(f"run:       {folder / 'run.json'}")
    done.print_mismatches()
    return 1 if done.mismatches else 0


def _arguments() -> argparse.Namespace:
    parser = command_parser("sim", __doc__)
    add_simulator(parser)
    add_schedule(parser, "the first")
    add_back_pressure(parser, stalls=0)
    add_imperfections(parser)
    add = parser.add_argument
    add("--spec", default=DEFAULT_PRESET, help="hardware: a preset or a JSON file")
    add("--tokens", type=natural(1), metavar="N", help="tokens of the passage (48; gates: 2)")
    add("--wrap-tokens", type=natural(1), metavar="N", help="of the wrap (1152; gates: 16)")
    add("--gates", action="store_true", help="simulate the synthesised gates")
    add("--waves", action="store_true", help="also write waveforms of a few tokens")
    args = parser.parse_args()
    args.tokens = args.tokens or (2 if args.gates else 48)
    args.wrap_tokens = args.wrap_tokens or (16 if args.gates else 1152)
    return args


def _print_report(done: Replay, golden: Golden, tokens: int) -> None:
    header = ["run", "head-tokens", "mismatches", "cycles/token", "between tokens", "tokens/s"]
    rows = [
        [
            run.name,
            run.job.tokens,
            run.mismatches,
            f"{run.cycles_per_token:g}",
            "-" if run.cycles_between_tokens is None else f"{run.cycles_between_tokens:g}",
            f"{run.head_tokens_per_second:.0f}",
        ]
        for run in done.runs
    ]
    print("\n" + table(header, rows))
    simulator = f"{done.simulator.title} {done.simulator.version()}"
    at_once = f"{done.workers} at once" if done.workers > 1 else "one at a time"
    rate = done.head_tokens / done.wall_s
    print(f"{done.head_tokens} head-tokens in {simulator}, {at_once}: {rate:.0f} per second\n")
    _print_rates(done.runs)
    if not done.spec.imperfections.off:
        _print_drifts(done.runs)
    print(f"text of the passage ({golden.source}):")
    print(f"  {_one_line(golden.text[:tokens])}")
    if done.spec.imperfections.off:
        print("what the model predicts after each of its tokens, its attention as computed here:")
        print(f"  {_one_line(golden.predicted[:tokens])}")
    print()


def _print_drifts(runs: list[Run]) -> None:
    header = ["imperfections of device", "codes changed", "by (rms)", "ideal codes (rms)"]
    rows = [
        [f"{run.job.device}: {run.name}", f"{d.changed:.1%}", f"{d.rms:.2f}", f"{d.ideal_rms:.1f}"]
        for run in runs
        if (d := run.drift)
    ]
    print(table(header, rows) + "\n")


def _print_rates(runs: list[Run]) -> None:
    kinds = [run.name.partition(":")[0] for run in runs]
    header = ["signal", *(f"{kind}: {end}" for kind in kinds for end in ("lowest", "highest"))]
    rows = [
        [name, *(f"{share:.1%}" for run in runs for share in run.rates[name])]
        for name in runs[0].rates
    ]
    print("share of values at the ends of their range:")
    print(table(header, rows) + "\n")


def _one_line(strings: list[str]) -> str:
    return "".join(strings).replace("\n", "⏎")


def _waves(spec: HardwareSpec, schedule: str, golden: Golden, args: argparse.Namespace) -> Path:
    """Waveforms of the first tokens of the wrapping head, with analog traces."""
    job = golden.wrap_stream(WAVE_TOKENS).job(spec, schedule, waves=True)
    job.check(spec)
    compiled = build(spec, args.sim, waves=True, say=True)
    path = args.build / "sim" / f"head{compiled.simulator.waves}"
    compiled.run(job, waves=path)
    return path


if __name__ == "__main__":
    run_command(main)
