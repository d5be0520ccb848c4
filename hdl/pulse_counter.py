"""Pulse counter: signed widths of all output pulses, summed over the sub-tiles as they arrive."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from analog_models.spec import HardwareSpec
from hdl.bitplanes import add_columns, planes_to_lanes
from hdl.streams import result_layout

__all__ = ["PulseCounter"]


class PulseCounter(wiring.Component):
    """Counts sub-tiles x head_dim pulses with their signs into one signed sum per dimension.

    In each cycle a pulse adds +1, 0 or -1, so the sum over sub-tiles of signed counts is the
    accumulated population count: one accumulator per dimension instead of a counter per pulse and
    an adder tree. A digit d in {-1, 0, 1} enters as d + 2, the bits (no negative pulse, pulse), so
    that one gate a pulse stands before the adders, and the accumulator starts at minus what these
    offsets add up to.

    The pulses are asynchronous, so each is sampled by a register of its own before it is counted:
    the counting edges are the edges that end a cycle with `sample`. A count saturates because
    there are `count_max` of them.

    Members
    -------
    pulse, negative : In(sub-tiles * head_dim)
        Output pulses and their signs, lane = sub-tile * head_dim + dimension. A converter holds
        its sign from the start of a conversion to that of the next.
    clear : In(1)
        Forget the sums; in the first cycle of `sample`.
    sample : In(1)
        Sample the pulses at the next edge; high for `count_max` cycles.
    show : In(1)
        The sums are complete; else `total` is 0, so that partial sums do not toggle a wide bus.
    total : Out
        Output codes lane by lane, complete one cycle after the last sample.
    sampled : Out
        The last sample.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self._dim = spec.geometry.head_dim
        self._subtiles = spec.geometry.subtiles
        self._out_max = spec.out_max
        self._total = result_layout(spec)
        lanes = self._subtiles * self._dim
        super().__init__(
            {
                "pulse": In(lanes),
                "negative": In(lanes),
                "clear": In(1),
                "sample": In(1),
                "show": In(1),
                "total": Out(self._total.as_shape().width),
                "sampled": Out(lanes),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        dim, width = self._dim, len(self.total) // self._dim
        sampled = self.sampled
        counting = Signal()
        m.d.sync += counting.eq(self.sample)
        with m.If(self.sample):
            m.d.sync += sampled.eq(self.pulse)

        not_negative = Signal(len(self.pulse))
        m.d.comb += not_negative.eq(~(sampled & self.negative))
        total = [Signal(dim, name=f"total_{bit}") for bit in range(width)]
        tiles = range(self._subtiles)
        columns = {bit: [plane] for bit, plane in enumerate(total)}
        columns[0] = [sampled.word_select(tile, dim) for tile in tiles] + columns[0]
        columns[1] = [not_negative.word_select(tile, dim) for tile in tiles] + columns[1]
        following = add_columns(m, columns, width)
        for bit, plane in enumerate(total):
            with m.If(self.clear):
                m.d.sync += plane.eq((-2 * self._out_max >> bit & 1) * (2**dim - 1))
            with m.Elif(counting):
                m.d.sync += plane.eq(following[bit])
        shown = [Signal(dim, name=f"shown_{bit}") for bit in range(width)]
        m.d.comb += [
            out.eq(Mux(self.show, plane, 0)) for out, plane in zip(shown, total, strict=True)
        ]
        m.d.comb += self.total.eq(planes_to_lanes(shown))
        return m
