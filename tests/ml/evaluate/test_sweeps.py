"""The hardware of every point, and that heads speak its codes."""

import torch

from analog_models.spec.designs import with_levels
from ml.attention.exact import exact_attention
from ml.evaluate.imperfect import imperfect
from ml.evaluate.sweeps import MULTIPLES, sweeps, with_window
from ml.models import convert, heads_of


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


def test_codes_of_other_levels_are_parts_of_their_full_scales(converted, hf_spec, generator):
    heads = heads_of(converted)[0]
    x = torch.rand(heads.query_heads, 9, 16, generator=generator).double()
    coarse = heads.encode("q", x)
    finer = with_levels(hf_spec, q=31, kv=22, out_bits=5)
    with imperfect(converted, finer, torch.Generator()):
        fine = heads.encode("q", x)
        full = heads.spec.levels.full_scale
    assert fine.max() <= full["q"] == 30
    assert (fine / 30 - coarse / 15).abs().max() <= (1 / 30 + 1 / 15) / 2


@torch.no_grad()
def test_finer_levels_give_the_same_output_but_for_rounding(family, tiny_spec, generator):
    model = convert(family, tiny_spec).double()
    heads = heads_of(model)[0]
    q, k, v = (
        torch.rand(n, 12, 16, generator=generator).double()
        for n in (heads.query_heads, heads.kv_heads, heads.kv_heads)
    )
    coarse = heads(q, k, v)
    errors = []
    for levels in ((16, 8, 4), (31, 15, 5), (121, 57, 7)):
        with imperfect(model, with_levels(tiny_spec, *levels), torch.Generator()):
            errors.append(float((heads(q, k, v) - coarse).abs().mean() / coarse.abs().mean()))
    assert errors[0] == 0 and all(0 < error < 0.3 for error in errors[1:])


def test_windows_end_with_the_text(spec):
    def windows(context: int) -> tuple[float, ...]:
        return next(s.values for s in sweeps(spec, context) if s.name == "window")

    assert windows(256) == (8, 16, 32, 64, 128, 256)
    assert windows(600)[-1] == 512 and windows(4096)[-1] == 1024


def test_a_short_window_forgets(tiny_spec, generator):
    q, k, v = torch.randint(8, (3, 1, 2, 24, 16), generator=generator).double()
    k_other, v_other = k.clone(), v.clone()
    k_other[..., 0, :], v_other[..., 0, :] = 7 - k[..., 0, :], 7 - v[..., 0, :]
    short = with_window(tiny_spec, 4)
    same = exact_attention(short, q, k, v) == exact_attention(short, q, k_other, v_other)
    assert same[..., 4:, :].all() and not same[..., :4, :].all()
