from types import MappingProxyType

from analog_models.spec import load_preset
from estimate.circuits.logic import LOGIC_BLOCKS, LogicBlock
from estimate.references import CIRCUITS
from tests.estimate.si import approx

SPEC = load_preset()
ACTIVITY = {"query_duty": 0.25, "out_duty": 0.1}


def synthesis():
    """One component that takes 100 pJ when quiet and 200 pJ with random tokens, in 65 cycles."""
    energy = {name: {"datapath/pulse_counter": joule} for name, joule in
              (("quiet", 100e-12), ("random", 200e-12))}  # fmt: skip
    kinds = {name: {"cycles_per_token": 65, "energy_j": e} for name, e in energy.items()}
    row = {
        "component": "datapath/pulse_counter",
        "area_um2": 700.0,
        "leakage_w": 1e-6,
        "flip_flops": 10,
    }
    return MappingProxyType(
        {
            "library": "some",
            "node_m": 28e-9,
            "supply_v": 0.9,
            "random_activity": {"query_duty": 0.5, "out_duty": 0.2},
            "energy_by_schedule": {"leroux2025": kinds},
            "components": [row],
        }
    )


def counter(spec=SPEC):
    return LogicBlock(spec, CIRCUITS, synthesis(), SPEC, "datapath/pulse_counter")


def test_energy_lies_between_quiet_and_random_as_the_pulses_do():
    run = counter().run_token(SPEC.schedules["leroux2025"], 65, ACTIVITY)
    assert run.energy_j == approx(150e-12)
    assert run.latency_s == approx(65e-9)


def test_a_schedule_that_was_not_simulated_is_as_quiet_cycle_for_cycle():
    run = counter().run_token(SPEC.schedules["pipelined"], 21, ACTIVITY)
    assert run.energy_j == approx(100e-12 * 21 / 65 + 50e-12)


def test_a_block_grows_with_what_it_serves():
    half = counter(SPEC.replace(geometry__subtiles=8))
    assert half.growth == 0.5 and half.flip_flops == 5
    assert half.area_m2 == approx(counter().area_m2 / 2)
    assert counter().area_m2 == approx(1000e-12)  # 700 um2 cells, 70 % of the ground
    assert half.leakage_w == approx(0.5e-6)


def test_all_components_of_synthesis_are_known(measured):
    for synthesis in measured.synthesis.values():
        assert {row["component"] for row in synthesis["components"]} == set(LOGIC_BLOCKS)
        for energy in synthesis["energy_by_schedule"].values():
            assert set(energy["random"]["energy_j"]) == set(LOGIC_BLOCKS)


def block(name, spec, measured):
    synthesis = measured.synthesis["nangate45"]
    return LogicBlock(spec, CIRCUITS, synthesis, measured.spec, name)


def test_registers_and_pulse_generators_grow_with_the_bits_of_a_code(measured):
    wide = SPEC.replace(levels__kv=16)
    assert block("datapath", wide, measured).growth == approx(4 / 3)
    assert block("datapath/pulse_generator", wide, measured).growth == 1
    coarse = SPEC.replace(levels__q=4)
    assert block("datapath/pulse_generator", coarse, measured).growth == 0.5


def test_shorter_pulses_move_less(measured):
    schedule = SPEC.schedule

    def moving_j(spec):
        counter_ = block("datapath/pulse_counter", spec, measured)
        quiet, busy = (
            counter_.run_token(schedule, 65, {"out_duty": duty}).energy_j for duty in (0, 0.1)
        )
        return busy - quiet

    half = SPEC.replace(converter__t_max_ps=7000)
    assert moving_j(half) == approx(moving_j(SPEC) * 7 / 15)
