"""Attention of a design, against the golden head, the golden vectors and the reference."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from analog_models.head import GoldenHead
from analog_models.spec import load_preset
from analog_models.spec.golden_format import PASSAGE
from estimate.errors import EstimateError
from estimate.sweep.attention import attention_error, hardware_output, reference_output
from estimate.sweep.design import design_of, spec_of
from estimate.sweep.signals import GOLDEN, Text, read_text

SPEC = load_preset()


@pytest.mark.parametrize("window", [4, 8, 12, 32])
def test_it_equals_the_golden_head_beyond_the_window(window):
    spec = SPEC.replace(
        geometry__head_dim=6,
        geometry__subtile=4,
        geometry__subtiles=window // 4,
        leakage__decay_per_token=0.02,
        converter__s_sat=8.0,
        converter__a_sat=6.0,
    )
    rng = np.random.default_rng(window)
    codes = [rng.integers(0, top, (2, 27, 6)) for top in (16, 8, 8)]
    out = hardware_output(spec, *(code.astype(float) for code in codes))
    for head in range(2):
        golden = GoldenHead(spec).run(*(code[head] for code in codes))
        assert np.array_equal(np.round(out[head] * spec.levels.count_max), golden)
        assert np.abs(golden).max() > 3


def test_it_gives_the_golden_vectors():
    golden, text = load_file(GOLDEN / PASSAGE), read_text(tokens=70)
    out = hardware_output(SPEC, *text.codes(SPEC)) * SPEC.levels.count_max
    assert np.array_equal(np.round(out), golden["out"].reshape(16, 128, 64)[:, :70])


@pytest.fixture(scope="module")
def text():
    rng = np.random.default_rng(0)
    q, k, v = rng.random((3, 3, 20, 64))
    return Text(0.5 * q, k, v, "", "")


def error(text, **changes):
    base = SPEC.replace(converter__a_sat=30.0)  # nothing saturates: four slots give less
    design = design_of(base)._replace(**({"subtile": 4, "window": 32} | changes))
    return attention_error(spec_of(base, design), text, reference_output(base, text))


def test_a_fine_head_without_leakage_comes_near_the_reference(text):
    fine = {"q_levels": 256, "kv_levels": 256, "out_bits": 8, "leakage": 0.0}
    least = error(text, **fine)
    assert 0 < least < 0.05
    for coarse in ({"q_levels": 3}, {"kv_levels": 3}, {"out_bits": 4}, {"leakage": 0.05}):
        assert error(text, **(fine | coarse)) > 5 * least, coarse
    assert error(text, **(fine | {"window": 8})) > 5 * least


def test_the_error_is_relative_to_each_head(text):
    reference = reference_output(SPEC, text)
    spec = spec_of(SPEC, design_of(SPEC)._replace(kv_levels=4))
    each = [
        attention_error(spec, Text(text.q[[h]], text.k[[h]], text.v[[h]], "", ""), reference[[h]])
        for h in range(3)
    ]
    assert attention_error(spec, text, reference) == pytest.approx(np.mean(each))


def test_a_head_without_output_has_no_relative_error(text):
    with pytest.raises(EstimateError, match="head 1 of the reference: its output is zero"):
        reference = reference_output(SPEC, text)
        reference[1] = 0
        attention_error(SPEC, text, reference)


def test_imperfections_do_not_count(text):
    noisy = SPEC.replace(imperfections__read_noise_v=1.0)
    reference = reference_output(noisy, text)
    assert np.array_equal(reference, reference_output(SPEC, text))
    assert attention_error(noisy, text, reference) == attention_error(SPEC, text, reference)
