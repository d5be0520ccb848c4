"""What the testbench recorded on the pins when a phase has ended."""

from typing import Any, NamedTuple

import numpy as np

from analog_models.array import GainCellArray
from common.errors import GaincellError
from cosim.testbench.packing import digits, lanes, read_text

__all__ = ["Report", "ReportReader", "follow_writes"]

WRITE_BITS = 8  # the testbench counts writes modulo 2^8


class Report(NamedTuple):
    """Fields of a report, see `testbench.v`.

    recorded: [lane] levels of pins, the latest in front. code: what the DACs wrote last, as binary
    digits, to `slot`. writes: how many there were, modulo 2^8. flags: of this kind of phase.
    """

    recorded: np.ndarray
    code: str
    flags: int
    writes: int
    slot: int


class ReportReader:
    """Reads the reports of one phase, whose signal is `handle`, from the testbench `dut`."""

    def __init__(self, dut: Any, handle: Any, flags: int) -> None:
        self._handle = handle
        self._slot_bits = len(dut.write_slot)
        self._numbers = len(handle) - flags - WRITE_BITS - self._slot_bits
        self._recorded = self._numbers - len(dut.write_code)

    def read(self) -> Report:
        """The report as it is now. Raises `GaincellError` if bits of it are unknown."""
        text = read_text(self._handle)
        number = int(text[self._numbers :], 2)
        slot = number & (1 << self._slot_bits) - 1
        number >>= self._slot_bits
        return Report(
            digits(text[: self._recorded]),
            text[self._recorded : self._numbers],
            number >> WRITE_BITS,
            number & (1 << WRITE_BITS) - 1,
            slot,
        )


def follow_writes(array: GainCellArray, written: int, report: Report, what: str) -> int:
    """Write to `array` what the DACs did since write number `written`; the number of the next.

    Raises `GaincellError` if they wrote more than once, which `what` names.
    """
    new = (report.writes - written) % (1 << WRITE_BITS)
    if new > 1:
        raise GaincellError(f"{new} {what}s were written for one query, after {written} of them")
    if new:
        codes = lanes(digits(report.code), array.spec.geometry.head_dim)
        array.write(report.slot, codes, written)
    return written + new
