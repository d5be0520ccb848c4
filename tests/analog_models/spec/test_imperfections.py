"""Which fields switch what on, and what the temperature does."""

import math

import pytest

from analog_models.spec import Imperfections, load_preset
from common.errors import SpecError

OFF = Imperfections()
SIZES = sorted({n for n, v in OFF.model_dump().items() if v == 0} - {"stuck_level", "device_seed"})


def test_all_is_off_by_default_and_in_the_preset():
    assert load_preset().imperfections == OFF and OFF.off
    assert not OFF.noisy and not OFF.cells_differ
    assert OFF.thermal == OFF.leakage_factor == OFF.reach_gain == 1 and OFF.reach_v == 0


@pytest.mark.parametrize("name", SIZES)
def test_each_size_switches_its_kind_on(name):
    one = Imperfections.model_validate({name: 0.01})
    noisy = name in ("write_noise_v", "read_noise_k", "read_noise_v") or "jitter" in name
    of_cells = name.startswith(("mismatch", "ir_drop", "stuck"))
    assert not one.off and one.noisy == noisy and one.cells_differ == of_cells


def test_conditions_alone_switch_nothing_on():
    assert Imperfections(stuck_level=3, device_seed=5, leakage_doubling_k=7).off
    assert Imperfections(temperature_k=330, reference_k=330).off
    assert not Imperfections(temperature_k=301).off


def test_temperature_scales_noise_and_leakage():
    warm = load_preset().replace(
        imperfections__temperature_k=330.0, imperfections__write_noise_v=0.001
    )
    assert warm.decay_per_token == pytest.approx(8 * 1.6e-4)
    assert warm.imperfections.write_sigma_v == pytest.approx(0.001 * math.sqrt(1.1))
    cold = warm.replace(imperfections__temperature_k=290.0)
    assert cold.decay_per_token == pytest.approx(0.8e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"write_noise_v": -0.1}, "imperfections.write_noise_v = -0.1: Input should be greater"),
        ({"stuck_fraction": 1.5}, "imperfections.stuck_fraction = 1.5: Input should be less"),
        ({"stuck_level": 8}, "imperfections.stuck_level = 8: allowed 0 to 7, the levels of a"),
        ({"temperature_k": 27}, "imperfections.temperature_k = 27: Input should be greater"),
        ({"read_noise": 1}, "specification has no field imperfections.read_noise"),
        # what makes a cell's charge larger leaves fewer bits for its grid
        ({"write_noise_v": 0.1}, "grid.charge_bits = 21: allowed 8 to 20, to stay exact"),
        ({"mismatch_offset_v": 0.1}, "grid.charge_bits = 21: allowed 8 to 20, to stay exact"),
        ({"mismatch_gain": 1.0}, "grid.charge_bits = 21: allowed 8 to 20, to stay exact"),
        ({"write_error_v": 1.0}, "grid.charge_bits = 21: allowed 8 to 19, to stay exact"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(changes, message):
    spec = load_preset().replace(grid__charge_bits=21)
    with pytest.raises(SpecError) as error:
        spec.replace(**{f"imperfections__{name}": value for name, value in changes.items()})
    assert message in str(error.value)
