import random

import pytest

from analog_models.spec import Schedule
from hdl.sequencer import PhaseSequencer
from hdl.timeline import WRITES, timelines
from tests.hdl.clocked import run, small_spec
from tests.schedules import SHORT, random_schedules

LATE_RESET = Schedule(  # a further query starts in cycle 3, where the key of a token is strobed
    period=20,
    hold=9,
    capacitors=1,
    write_k=(0, 5),
    write_v=(5, 10),
    reset_k=(3, 4),
    reset_v=(9, 10),
    score=(5, 8),
    activate=(10, 13),
    read_out=(16, 19),
)


class Model:
    """Tokens in flight, each with a cycle of its own: what the sequencer does, token by token."""

    def __init__(self, lines):
        self.lines, self.chosen, self.tokens = lines, 0, []

    @property
    def line(self):
        return self.lines[self.chosen]

    def phase(self):
        return self.tokens[-1][0] % self.line.period

    def ready(self, choice, hold):
        if (choice if choice < len(self.lines) else 0) != self.chosen:
            return False
        return not self.tokens or (self.at_end() and not self.waiting(hold))

    def at_end(self):
        return self.phase() == self.line.period - 1

    def waiting(self, hold):
        return bool(self.tokens) and hold and self.phase() == self.line.hold

    def clock(self, choice, start, repeat, hold):
        ready, waiting = self.ready(choice, hold), self.waiting(hold)
        if not self.tokens:
            self.chosen = choice if choice < len(self.lines) else 0
        if not waiting:
            self.tokens = [(cycle + 1, again) for cycle, again in self.tokens]
            last = self.line.stages * self.line.period
            self.tokens = [token for token in self.tokens if token[0] < last]
        if ready and start:
            self.tokens.append((self.line.repeat if repeat else 0, repeat))

    def active(self):
        return {
            name
            for name, interval in self.line.intervals.items()
            for cycle, repeat in self.tokens
            if cycle in interval and not (repeat and name in WRITES)
        }

    def done(self):
        return any(cycle == self.line.latency - 1 for cycle, _ in self.tokens)


@pytest.fixture(scope="module")
def lines():
    return timelines(small_spec())


def levels(ctx, dut):
    return {name for name in dut.active.signature.members if ctx.get(getattr(dut.active, name))}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_output_is_high_in_its_interval_only(lines, number):
    dut, line = PhaseSequencer(lines), lines[number]

    async def testbench(ctx):
        ctx.set(dut.choice, number)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.ready) and not levels(ctx, dut)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for cycle in range(line.latency):
            expected = {name for name, interval in line.intervals.items() if cycle in interval}
            assert levels(ctx, dut) == expected, f"cycle {cycle}"
            assert ctx.get(dut.done) == (cycle == line.latency - 1)
            await ctx.tick()
        assert not levels(ctx, dut)

    run(dut, testbench)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("schedules", ["shipped", "random", "repeat inside a strobe"])
def test_follows_the_model_through_starts_waits_repeats_and_changes(lines, schedules, seed):
    spec = small_spec(**SHORT)
    if schedules == "random":
        lines = timelines(spec.replace(schedules=random_schedules(spec, 3, seed)))
    elif schedules != "shipped":
        lines = timelines(spec.replace(schedules={"late": LATE_RESET}))
    dut, model, rng = PhaseSequencer(lines), Model(lines), random.Random(seed)
    busy = rng.choice([0.1, 0.9, 1.0])

    async def testbench(ctx):
        choice = 0
        for cycle in range(3000):
            if rng.random() < 0.005:
                choice = rng.randrange(4)  # 3 is out of range
            start, repeat = rng.random() < busy, rng.random() < 0.3
            hold = rng.random() < 0.5
            for signal, value in (
                (dut.choice, choice),
                (dut.start, start),
                (dut.repeat, repeat),
                (dut.hold, hold),
            ):
                ctx.set(signal, value)
            assert ctx.get(dut.ready) == model.ready(choice, hold), cycle
            assert ctx.get(dut.waiting) == model.waiting(hold), cycle
            assert ctx.get(dut.busy) == bool(model.tokens), cycle
            assert ctx.get(dut.done) == model.done(), cycle
            model.clock(choice, start, repeat, hold)
            await ctx.tick()
            assert levels(ctx, dut) == model.active(), cycle

    run(dut, testbench)
