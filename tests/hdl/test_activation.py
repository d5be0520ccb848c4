import random

from hdl.activation import ActivationGate
from tests.hdl.clocked import run_comb, small_spec


def test_a_pulse_passes_in_the_phase_and_in_valid_slots_only():
    dut = ActivationGate(small_spec())
    rng = random.Random(3)

    async def testbench(ctx):
        for _ in range(200):
            phi, valid, activate = rng.randrange(1 << 12), rng.randrange(1 << 12), rng.randrange(2)
            ctx.set(dut.phi, phi)
            ctx.set(dut.valid, valid)
            ctx.set(dut.activate, activate)
            assert ctx.get(dut.row) == (phi & valid if activate else 0)

    run_comb(dut, testbench)
