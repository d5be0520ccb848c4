from dataclasses import replace

import pytest

from estimate.circuits.scaling import scale_logic
from estimate.engines import ENGINES, Engine, engine_names
from estimate.errors import EstimateError
from estimate.models import named_model
from estimate.references import CIRCUITS
from estimate.system import System, Work
from tests.estimate.si import approx

GPT2, LLAMA, SMOL = (named_model(n) for n in ("gpt2-124m", "llama3-8b", "smollm2-135m"))


@pytest.fixture(scope="module")
def small(measured, circuits):
    return System(GPT2, Engine("sram_cim"), measured.spec, circuits, measured, "leroux2025")


def test_streamed_weights_take_their_time_and_energy():
    engine = Engine("hbm")
    assert engine.product_s(819_000_000) == approx(1e-3)
    energy = engine.product_j(1000, 4)
    assert energy == {
        "arithmetic": approx(4000 * 0.117e-12),
        "weight memory": approx(31.4e-9),
    }
    assert engine.product_s(1000, 10**6) == approx(1e9 / 16.4e12)  # arithmetic, not memory
    with pytest.raises(EstimateError, match="no engine 'tpu': there are lpddr, hbm"):
        Engine("tpu")


def test_weights_in_memory_take_a_product_whatever_their_size():
    assert Engine("pcm_cim").product_s(10) == Engine("pcm_cim").product_s(10**7) == 133e-9
    assert Engine("pcm_cim").product_s(10, tokens=3) == approx(3 * 133e-9)
    operations = 2 * 64 * 256 * 256
    chip_m2 = operations / 2 * ENGINES["pcm_cim.weight_area_m2"]
    assert operations / 133e-9 / chip_m2 == approx(400e9 / 1e-6, rel=0.01)  # as announced


@pytest.mark.parametrize("decay", [0.0, 5e-324])
def test_without_leakage_no_retention_is_long_enough(small, decay):
    spec = small.spec.replace(leakage__decay_per_token=decay)
    assert replace(small, spec=spec).tau_needed_s is None


@pytest.mark.parametrize(
    ("name", "at_45_nm_j"),
    [
        ("digital.mac_j", 0.23e-12),
        ("sram.weight_byte_j", 20e-12 / 8),
        ("chip.vector_j", 1.5e-12),
    ],
)
def test_figures_of_45_nm_and_0_9_v_are_scaled_at_that_supply(name, at_45_nm_j):
    factor = scale_logic(45e-9, 0.9, CIRCUITS["technology.node_m"], 0.9).energy
    assert ENGINES[name] == approx(at_45_nm_j * factor, rel=0.01)


def test_digital_engines_share_their_arithmetic():
    digital = [Engine(name) for name in engine_names() if not Engine(name).in_memory]
    assert len(digital) == 3
    assert {engine.product_j(1)["arithmetic"] for engine in digital} == {0.117e-12}
    assert Engine("pcm_cim").product_j(1) == {"arithmetic": 0.205e-12, "weight memory": 0}


def test_parts_of_a_step_add_up(small):
    assert small.step_s == sum(small.decode_times.values())
    assert small.token_j == sum(small.decode_energies.values())
    assert small.decode_times["attention"] == approx(12 * 65e-9)
    heads_j = 144 * small.head.token_energy(small.measured.activity).value
    assert small.decode_energies["attention"] == approx(heads_j)


def test_grouped_queries_take_one_write_and_a_query_each(small):
    grouped = replace(small, model=SMOL)
    assert grouped.attention_s == approx((65 + 2 * 55) * 1e-9)
    assert grouped.kv_heads == 90
    activity = small.measured.activity
    token, query = (grouped.head.token_energy(activity, query_only=q).value for q in (False, True))
    assert grouped.attention_j == approx(90 * (token + 2 * query))


def test_a_long_head_has_twice_the_arrays(small):
    llama = replace(small, model=LLAMA).head
    assert llama.spec.geometry.arrays == 2
    assert llama.area().part("K arrays").value == approx(
        2 * small.head.area().part("K arrays").value
    )


def test_every_sequence_has_its_own_window(small):
    eight = replace(small, work=Work(batch=8))
    assert eight.attention_m2 == approx(8 * small.attention_m2)
    assert eight.token_j == approx(small.token_j)
    assert eight.step_s == approx(small.step_s + 7 * 20e-9)  # one product behind another
    streamed, batched = (replace(s, engine=Engine("hbm")) for s in (small, eight))
    assert batched.token_j < streamed.token_j / 4  # weights are read once for all


def test_a_sliding_window_costs_the_same_at_any_length(small):
    long, whole = (replace(small, work=Work(1 << 20, window=w)) for w in (1024, 0))
    assert (long.step_s, long.token_j, long.chips) == (small.step_s, small.token_j, small.chips)
    assert whole.heads_per_kv == 16 and whole.head.spec.geometry.window == 65_536
    assert whole.attention_j > 500 * small.attention_j and whole.chips > 10 * small.chips


def test_pipelined_tokens_prefill_faster(small):
    fast = replace(small, schedule="pipelined")
    assert fast.prefill_s / small.prefill_s == approx(21 / 65, rel=0.1)
    one = replace(small, work=Work(length=1))
    assert one.prefill_s == one.step_s


def test_slow_steps_need_cells_that_keep_longer(small):
    assert small.tau_needed_s == approx(small.step_s / 1.6e-4)
    attention_only = 12 * 65e-9 / 5e-3  # how the published decay comes about
    assert attention_only == approx(1.6e-4, rel=0.03)


@pytest.mark.parametrize("field", ["length", "batch"])
def test_work_that_makes_no_sense_is_refused(field):
    with pytest.raises(EstimateError, match=f"{field} = 0: allowed 1 up"):
        Work(**{field: 0})


def test_every_engine_is_described(small):
    for name in engine_names():
        tree = replace(small, engine=Engine(name)).to_tree()
        assert tree["step_s"] > 0 and tree["chips"] >= 1 and tree["prefill_s"] > tree["step_s"]
