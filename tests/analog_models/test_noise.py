"""Noise of events: its size where it acts, and streams that do not depend on the schedule."""

from collections.abc import Callable

import numpy as np
import pytest

from analog_models.analog_head import AnalogHead
from analog_models.noise import KINDS, HeadNoise, event_generator, normal, with_noise
from analog_models.spec import load_preset
from analog_models.variation import Variation
from tests.analog_models.imperfect import with_imperfections

SPEC = load_preset()


def noisy_head(seed: int = 0, **noise: float) -> AnalogHead:
    spec = with_imperfections(SPEC, **noise)
    return AnalogHead(spec, variation=Variation(), noise=np.random.default_rng(seed))


def test_write_noise_is_what_the_cells_hold_more():
    head = noisy_head(write_noise_v=0.003, write_error_v=-0.01, temperature_k=363.0)
    for array in (head.k_array, head.v_array):
        for slot in range(1024):
            array.write(slot, np.full(64, 5), slot)
        excess_v = array.written_v - (5 * 0.9 / 7 - 0.45)
        assert excess_v.mean() == pytest.approx(-0.01, abs=5e-5)
        assert excess_v.std() == pytest.approx(0.003 * 1.1, rel=0.02)
    assert not np.array_equal(head.k_array.written_v, head.v_array.written_v)


def widths(name: str) -> tuple[Callable[[AnalogHead], np.ndarray], float]:
    """Pulses of half the full width from a head's converters, and one unit of charge in ps."""
    t_max, converter = 15000, SPEC.converter
    if name.startswith("phi") or name.endswith("_k"):
        score = np.full(1024, converter.s_sat / 2 * SPEC.levels.q_max)
        return lambda head: head.activate(score), t_max / converter.s_sat
    charge = np.full((16, 64), converter.a_sat / 2 * t_max)
    return lambda head: head.convert(charge), t_max / converter.a_sat


@pytest.mark.parametrize(
    ("name", "size", "in_charge"),
    [
        ("read_noise_k", 0.8, True),
        ("read_noise_v", 0.4, True),
        ("phi_jitter_ps", 30.0, False),
        ("out_jitter_ps", 30.0, False),
    ],
)
def test_noise_of_a_read_is_seen_in_the_pulses(name, size, in_charge):
    pulses, ps_per_charge = widths(name)
    head = noisy_head(**{name: size})
    seen = np.stack([pulses(head) for _ in range(20)])
    expected = size * ps_per_charge if in_charge else size
    assert seen.mean() == pytest.approx(7500, abs=expected / 20)
    assert seen.std() == pytest.approx(expected, rel=0.02)
    assert np.array_equal(pulses(noisy_head(7)), pulses(noisy_head(8)))  # nothing else is noisy


def test_jitter_moves_no_edge_that_the_clock_sets():
    head = noisy_head(phi_jitter_ps=50.0, out_jitter_ps=50.0)
    far = 2 * SPEC.converter.s_sat * SPEC.levels.q_max
    assert set(head.activate(np.array([-far, far] * 512)).tolist()) == {0, 15000}


def test_thermal_noise_grows_with_the_root_of_the_temperature_and_jitter_does_not():
    for name, factor in (
        ("read_noise_k", 1.1),
        ("read_noise_v", 1.1),
        ("phi_jitter_ps", 1.0),
        ("out_jitter_ps", 1.0),
    ):
        pulses, _ = widths(name)
        cool, warm = (pulses(noisy_head(1, **{name: 2.0}, temperature_k=t)) for t in (300.0, 363.0))
        assert (warm - 7500).std() / (cool - 7500).std() == pytest.approx(factor, rel=0.05)


def test_kinds_have_streams_of_their_own():
    ahead, alternating = (HeadNoise.streams(np.random.default_rng(2)) for _ in range(2))
    like = np.zeros(())
    first = [normal(next(ahead.write_k), (3,), like) for _ in range(2)]
    normal(next(alternating.read_v), (9,), like)
    second = [normal(next(alternating.write_k), (3,), like) for _ in range(2)]
    assert np.array_equal(first, second) and not np.array_equal(first[0], first[1])


def test_a_numbered_event_does_not_depend_on_what_was_before():
    like = np.zeros(())
    late = HeadNoise.numbered(3, writes=[8], reads=[7, 9])
    early = HeadNoise.numbered(3, writes=[1, 8], reads=[9])
    next(early.write_v)
    assert np.array_equal(
        normal(next(late.write_v), (4,), like), normal(next(early.write_v), (4,), like)
    )
    next(late.read_k)
    assert np.array_equal(
        normal(next(late.read_k), (4,), like), normal(next(early.read_k), (4,), like)
    )
    drawn = {
        (seed, number, kind): float(event_generator(seed, number, kind).standard_normal())
        for seed in (0, 1)
        for number in (0, 1)
        for kind in KINDS
    }
    assert len({*drawn.values()}) == len(drawn)


def test_no_size_or_no_generator_is_no_noise():
    x = np.ones(3)
    assert with_noise(x, 0.0, np.random.default_rng(0)) is x
    assert with_noise(x, 1.0, None) is x


def test_a_generator_for_each_entry_of_the_first_axis():
    like = np.zeros(())
    rows = normal([np.random.default_rng(i) for i in range(3)], (3, 2, 5), like)
    assert np.array_equal(rows[2], np.random.default_rng(2).standard_normal((2, 5)))


def test_torch_draws_from_either_kind_of_generator():
    torch = pytest.importorskip("torch")
    like = torch.zeros((), dtype=torch.float64)
    ours = normal(np.random.default_rng(5), (4, 3), like)
    assert np.array_equal(ours.numpy(), np.random.default_rng(5).standard_normal((4, 3)))
    theirs = [normal(torch.Generator().manual_seed(6), (4000,), like) for _ in range(2)]
    assert torch.equal(*theirs) and theirs[0].dtype == torch.float64
    assert float(theirs[0].std()) == pytest.approx(1, abs=0.05)
