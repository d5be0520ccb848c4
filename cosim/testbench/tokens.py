"""The token and the result stream of a job as the files that the testbench reads and writes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import GaincellError
from cosim.run.job import Job
from cosim.testbench.packing import lanes, pack_lanes, to_hex

__all__ = ["payload_bits", "read_accepted", "read_results", "write_streams"]


def write_streams(folder: Path, job: Job, contract: dict[str, Any]) -> None:
    """Write `tokens.txt` and `stalls.txt`, a line a token."""
    columns = (job.gaps, job.schedule, job.window_length)
    payloads = map(to_hex, payload_bits(contract, vars(job)))
    rows = zip(*columns, payloads, strict=True)
    _write(folder / "tokens.txt", (" ".join(map(str, row)) for row in rows))
    _write(folder / "stalls.txt", map(str, job.stalls))


def read_accepted(folder: Path) -> np.ndarray:
    """Clock cycle in which each token was accepted, [token]."""
    return np.array((folder / "accepted.txt").read_text("utf-8").split(), dtype=np.int64)


def read_results(folder: Path, contract: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Cycle of the edge that made each result valid, [token], and output codes, [token, d].

    Raises `GaincellError` for a result with unknown bits.
    """
    field = contract["payloads"]["result__payload"]["out"]
    width = field["lanes"] * field["bits"]
    finished, out = [], []
    for token, line in enumerate((folder / "results.txt").read_text("utf-8").splitlines()):
        cycle, payload = line.split()
        finished.append(int(cycle))
        try:
            raw = bytes.fromhex(payload.zfill(-(-width // 8) * 2))
        except ValueError as error:
            raise GaincellError(f"token {token}: result {payload} has unknown bits") from error
        bits = np.unpackbits(np.frombuffer(raw[::-1], np.uint8), count=width, bitorder="little")
        out.append(lanes(bits, field["lanes"], field["signed"]))
    return np.array(finished), np.array(out, dtype=np.int16)


def payload_bits(contract: dict[str, Any], codes: Mapping[str, np.ndarray]) -> np.ndarray:
    """Bits of the payload of each token, from its codes and flags [token, ...] by name."""
    fields = contract["payloads"]["token__payload"]
    parts = [
        pack_lanes(codes[name].reshape(len(codes[name]), -1), field["bits"])
        for name, field in sorted(fields.items(), key=lambda item: item[1]["offset"])
    ]
    return np.concatenate(parts, axis=1)


def _write(path: Path, lines: Iterator[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
