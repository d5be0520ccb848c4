"""The hardware of every point, and the model that speaks its codes."""

import pytest
import torch

from analog_models.spec.designs import with_levels
from ml.attention.exact import exact_attention
from ml.evaluate.sweeps import MULTIPLES, rescaled, sweeps, with_window
from ml.small.hardware_attention import attention_layers, fold, on_hardware
from ml.small.model import LanguageModel


@pytest.fixture
def folded(teacher, tiny_spec) -> LanguageModel:
    """The teacher's weights on the hardware, scalers folded, as the shipped model is."""
    model = LanguageModel(teacher.config, on_hardware(tiny_spec, scaled=True))
    model.load_state_dict(teacher.state_dict(), strict=False)
    return fold(model.double()).double().requires_grad_(False)


def test_every_value_of_every_sweep_is_a_hardware(spec):
    found = sweeps(spec)
    assert len({sweep.name for sweep in found}) == len(found)
    for sweep in found:
        hardware = [sweep.at(spec, value) for value in sweep.values]
        assert len({h.hash for h in hardware}) == len(sweep.values)
        assert all(h.imperfections.off is not sweep.imperfection for h in hardware)


def test_the_presets_own_values_are_the_presets_codes(spec):
    for sweep in sweeps(spec):
        if not sweep.imperfection:
            same = sweep.at(spec, sweep.here)
            assert same.codes_hash == spec.codes_hash, sweep.name


def test_each_imperfection_of_the_overlay_has_its_sweep(spec):
    from analog_models.spec import overlaid

    typical = overlaid(spec, "typical").imperfections
    for sweep in sweeps(spec):
        if not sweep.imperfection:
            continue
        if sweep.name == "all together":
            assert sweep.at(spec, 1.0).imperfections == typical
        else:
            alone = sweep.at(spec, sweep.here).imperfections.model_dump()
            assert alone[sweep.name] == getattr(typical, sweep.name)
            assert sweep.values == tuple(m * sweep.here for m in MULTIPLES)


def test_windows_are_of_so_many_slots(spec):
    assert [with_window(spec, w).geometry.window for w in (8, 64, 256)] == [8, 64, 256]
    assert with_window(spec, 256).geometry.subtile == spec.geometry.subtile


def test_more_levels_leave_the_charges_what_they_were(spec):
    finer = with_levels(spec, q=61, kv=29, out_bits=5)
    assert finer.converter.t_max_ps == finer.levels.count_max * finer.clock.t_clk_ps
    assert finer.converter.s_sat == spec.converter.s_sat


def test_rescaled_codes_are_stretched_by_the_full_scales(folded, tiny_spec, ids):
    layer = attention_layers(folded)[0]
    x = folded.hidden(ids[:, :-1])
    before = layer.signals(x)
    finer = with_levels(tiny_spec, q=31, kv=22, out_bits=5)
    with rescaled(folded, finer):
        after, full = layer.signals(x), layer.spec.levels.full_scale
        codes = layer.codes(x)
    torch.testing.assert_close(after["q"], before["q"] * 30 / 15)
    for name in "kv":
        torch.testing.assert_close(after[name], before[name] * 21 / 7)
    assert codes.q.max() == full["q"] and codes.k.max() == full["k"]


def test_finer_levels_give_the_same_output_but_for_rounding(folded, tiny_spec, ids):
    layer = attention_layers(folded)[0]
    x = folded.hidden(ids[:, :-1])
    coarse = layer(x)
    errors = []
    for q, kv, bits in ((16, 8, 4), (31, 15, 5), (121, 57, 7)):
        with rescaled(folded, with_levels(tiny_spec, q=q, kv=kv, out_bits=bits)):
            errors.append(float((layer(x) - coarse).abs().mean() / coarse.abs().mean()))
    assert errors[0] == 0 and all(0 < error < 0.3 for error in errors[1:])


def test_the_model_is_as_before_afterwards(folded, tiny_spec, ids):
    before = {name: tensor.clone() for name, tensor in folded.state_dict().items()}
    with pytest.raises(RuntimeError), rescaled(folded, with_levels(tiny_spec, q=4)):
        raise RuntimeError
    assert all(torch.equal(before[name], tensor) for name, tensor in folded.state_dict().items())
    assert all(layer.spec == tiny_spec for layer in attention_layers(folded))
    assert folded(ids[:, :-1]).isfinite().all()


def test_a_short_window_forgets(tiny_spec, generator):
    q, k, v = torch.randint(8, (3, 1, 2, 24, 16), generator=generator).double()
    k_other, v_other = k.clone(), v.clone()
    k_other[..., 0, :], v_other[..., 0, :] = 7 - k[..., 0, :], 7 - v[..., 0, :]
    short = with_window(tiny_spec, 4)
    same = exact_attention(short, q, k, v) == exact_attention(short, q, k_other, v_other)
    assert same[..., 4:, :].all() and not same[..., :4, :].all()
