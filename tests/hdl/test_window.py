import random

import pytest

from hdl.window import WindowPointer
from tests.hdl.clocked import run, small_spec


class Model:
    """What a window pointer does, token by token."""

    def __init__(self, window):
        self.window, self.length, self.tokens = window, window, 0

    def advance(self, flush, length):
        if flush or self.tokens == 0:
            self.tokens = 0
            self.length = length if 1 <= length <= self.window else self.window
        slot = self.tokens % self.length
        self.tokens += 1
        return slot, (1 << min(self.tokens, self.length)) - 1


@pytest.mark.parametrize("subtiles", [3, 4])
def test_follows_the_model_through_wraps_flushes_and_changing_lengths(subtiles):
    spec = small_spec(geometry__subtiles=subtiles)
    window = spec.geometry.window
    dut = WindowPointer(spec)
    model = Model(window)
    rng = random.Random(subtiles)
    lengths = [*range(window + 1), window, window]

    async def testbench(ctx):
        assert ctx.get(dut.valid) == 0
        slot, filled, mask = 0, 0, 0
        for _ in range(2000):
            advance, flush = rng.random() < 0.7, rng.random() < 0.03
            length = rng.choice(lengths)
            ctx.set(dut.advance, advance)
            ctx.set(dut.flush, flush)
            ctx.set(dut.window_length, length)
            capture = rng.random() < 0.5
            ctx.set(dut.capture, capture)
            if capture:
                mask = filled  # as it was before this edge
            if advance:
                slot, filled = model.advance(flush, length)
            await ctx.tick()
            assert (ctx.get(dut.slot), ctx.get(dut.valid)) == (slot, mask)

    run(dut, testbench)


def test_a_length_beyond_the_window_means_the_window():
    spec = small_spec(geometry__subtiles=3)  # 12 slots: the input can hold 13 to 15
    dut = WindowPointer(spec)

    async def testbench(ctx):
        ctx.set(dut.advance, 1)
        ctx.set(dut.window_length, 13)
        for token in range(30):
            await ctx.tick()
            assert ctx.get(dut.slot) == token % 12

    run(dut, testbench)


def test_a_new_length_waits_for_the_next_sequence():
    dut = WindowPointer(small_spec())

    async def testbench(ctx):
        ctx.set(dut.advance, 1)
        ctx.set(dut.window_length, 3)
        slots = []
        for token in range(10):
            ctx.set(dut.flush, token == 5)
            await ctx.tick()
            ctx.set(dut.window_length, 2)
            slots.append(ctx.get(dut.slot))
        assert slots == [0, 1, 2, 0, 1, 0, 1, 0, 1, 0]

    run(dut, testbench)
