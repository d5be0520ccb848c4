"""Phase sequencer: one counter, and a registered output per interval of the schedule."""

from collections.abc import Mapping

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["PhaseSequencer"]


class PhaseSequencer(wiring.Component):
    """Runs a token through its intervals of cycles.

    The outputs switch analog circuits, so each comes from its own register, free of glitches.

    Parameters
    ----------
    intervals : name -> range of cycles
        When each output is high, counted from the edge that starts a token.
    hold_at : int
        The cycle in which the sequencer waits while `hold` is high.

    Members
    -------
    start : In(1)
        Start a token at the next edge; only taken while `ready`.
    ready : Out(1)
        No token is under way, or the last cycle of one.
    hold : In(1)
        Wait in cycle `hold_at`.
    done : Out(1)
        Last cycle of a token.
    active : Out, one member per interval
    """

    def __init__(self, intervals: Mapping[str, range], hold_at: int) -> None:
        self._intervals = dict(intervals)
        self._cycles = max(interval.stop for interval in intervals.values())
        self._hold_at = hold_at
        active = wiring.Signature({name: Out(1) for name in intervals})
        super().__init__(
            {"start": In(1), "ready": Out(1), "hold": In(1), "done": Out(1), "active": Out(active)}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        idle = self._cycles  # the count at which the sequencer rests
        cycle = Signal(range(idle + 1), init=idle)
        following = Signal(range(idle + 1))
        resting = Signal()
        waiting = Signal()
        m.d.comb += [
            resting.eq(cycle == idle),
            waiting.eq(resting | ((cycle == self._hold_at) & self.hold)),
            self.done.eq(cycle == idle - 1),
            self.ready.eq(resting | self.done),
            following.eq(
                Mux(self.ready & self.start, 0, Mux(waiting, cycle, cycle + 1)),
            ),
        ]
        m.d.sync += cycle.eq(following)
        for name, interval in self._intervals.items():
            inside = (following >= interval.start) & (following < interval.stop)
            m.d.sync += getattr(self.active, name).eq(inside)
        return m
