import random

import pytest

from hdl.monitor import PulseMonitor
from hdl.timeline import timelines
from tests.hdl.clocked import run, small_spec


async def play(ctx, dut, line, pins, seen):
    """One token's control signals cycle by cycle; `pins` gives the pin levels in a cycle."""
    for cycle in range(line.latency + 3):
        for name, interval in line.intervals.items():
            ctx.set(getattr(dut.active, name), cycle in interval)
        for name, value in pins(cycle).items():
            ctx.set(getattr(dut, name), value)
        await ctx.tick()
        seen.append(
            {n for n in ("phi_late", "out_late", "sign_changed") if ctx.get(getattr(dut, n))}
        )


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(
    ("fault", "flags"),
    [
        (None, set()),
        ("phi", {"phi_late"}),
        ("out", {"out_late"}),
        ("sign", {"sign_changed"}),
        ("sign after the pulse", set()),
    ],
)
def test_a_fault_is_flagged_once_and_nothing_else(number, fault, flags):
    spec = small_spec()
    line = timelines(spec)[number]
    dut = PulseMonitor(spec)
    activate, convert = line.intervals["activate"], line.intervals["convert"]

    def pins(cycle):
        late = 2 if fault == "phi" else 0
        phi = 0b100 if cycle in range(activate.start, activate.stop + late) else 0
        stop = convert.start + (8 if fault == "sign after the pulse" else 15)
        if fault == "out":
            stop = convert.stop + 3
        out = 0b10 if cycle in range(convert.start, stop) else 0
        turned = fault is not None and fault.startswith("sign") and cycle >= convert.start + 10
        return {"phi": phi, "out_pulse": out, "out_negative": 0b10 if turned else 0}

    async def testbench(ctx):
        seen = []
        await play(ctx, dut, line, pins, seen)
        assert set().union(*seen) == flags
        if flags and fault != "sign":
            assert sum(bool(s) for s in seen) == 1

    run(dut, testbench)


@pytest.mark.parametrize("subtiles", [1, 3, 16])
def test_pulses_of_full_count_add_up(subtiles):
    spec = small_spec(geometry__subtiles=subtiles)
    lanes = 4 * subtiles
    dut = PulseMonitor(spec)
    rng = random.Random(subtiles)

    async def testbench(ctx):
        for trial in range(20):
            sample = (1 << lanes) - 1 if trial == 0 else rng.getrandbits(lanes)
            total = 0
            for cycle in range(21):  # the period of the fastest schedule
                ctx.set(dut.active.convert, cycle < 15)
                ctx.set(dut.sampled, sample if cycle >= 15 else rng.getrandbits(lanes))
                await ctx.delay(1e-10)
                total += ctx.get(dut.saturated)
                await ctx.tick()
            assert total == sample.bit_count()

    run(dut, testbench)
