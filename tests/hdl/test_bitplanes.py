import random

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.bitplanes import add_columns, differs, lanes_to_planes, planes_to_lanes
from tests.hdl.clocked import run_comb

LANES, WIDTH = 5, 4


class Adder(wiring.Component):
    """Sums `words` 1-lane numbers of weight 1 and of weight 2 in every lane."""

    def __init__(self):
        super().__init__({"words": In(LANES * 9), "total": Out(LANES * WIDTH)})

    def elaborate(self, platform):
        m = Module()
        words = [self.words.word_select(i, LANES) for i in range(9)]
        planes = add_columns(m, {0: words[:5], 1: words[5:]}, WIDTH)
        m.d.comb += self.total.eq(Cat(*planes))
        return m


class Transposer(wiring.Component):
    def __init__(self):
        wide = LANES * WIDTH
        super().__init__(
            {"lanes": In(wide), "number": In(WIDTH), "back": Out(wide), "unequal": Out(LANES)}
        )

    def elaborate(self, platform):
        m = Module()
        planes = [Signal(LANES, name=f"plane{bit}") for bit in range(WIDTH)]
        for plane, value in zip(planes, lanes_to_planes(self.lanes, WIDTH), strict=True):
            m.d.comb += plane.eq(value)
        m.d.comb += self.back.eq(planes_to_lanes(planes))
        m.d.comb += self.unequal.eq(differs(planes, self.number))
        return m


def test_columns_add_up_in_every_lane_modulo_the_width():
    dut = Adder()
    rng = random.Random(1)

    async def testbench(ctx):
        for _ in range(300):
            words = [rng.randrange(1 << LANES) for _ in range(9)]
            ctx.set(dut.words, sum(word << LANES * i for i, word in enumerate(words)))
            got = ctx.get(dut.total)
            for lane in range(LANES):
                bits = [word >> lane & 1 for word in words]
                total = sum((got >> LANES * bit + lane & 1) << bit for bit in range(WIDTH))
                assert total == (sum(bits[:5]) + 2 * sum(bits[5:])) % (1 << WIDTH)

    run_comb(dut, testbench)


def test_planes_are_the_transpose_of_lanes():
    dut = Transposer()
    rng = random.Random(2)

    async def testbench(ctx):
        for _ in range(100):
            codes = [rng.randrange(1 << WIDTH) for _ in range(LANES)]
            number = rng.choice(codes)
            lanes = sum(code << WIDTH * i for i, code in enumerate(codes))
            ctx.set(dut.lanes, lanes)
            ctx.set(dut.number, number)
            assert ctx.get(dut.back) == lanes
            unequal = sum((code != number) << i for i, code in enumerate(codes))
            assert ctx.get(dut.unequal) == unequal

    run_comb(dut, testbench)
