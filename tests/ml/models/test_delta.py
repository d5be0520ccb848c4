import pytest
import torch

from common.errors import ArtefactError, SpecError
from ml.checkpoint import load_tensors, save_tensors
from ml.errors import ModelError
from ml.models import convert, heads_of
from ml.models.delta import CODES, SCALE, by_rows, load_delta, main, save_delta, weights_sha256
from ml.models.families import attention_modules
from ml.models.folders import load_converted
from tests.ml.families import make_family

HEADS = "model.layers.1.self_attn.heads.mix_q"


@pytest.fixture
def adapted(llama, hf_spec, generator):
    """A model whose attention moved: projections a little, the output projection altogether."""
    model = convert(llama, hf_spec, "linear")
    with torch.no_grad():
        for module in attention_modules(model):
            for name, parameter in module.named_parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter += (0.3 if name.startswith(("o_proj", "heads")) else 0.003) * noise
    return model


@pytest.fixture
def path(tmp_path, llama, adapted):
    save_delta(tmp_path / "d.safetensors", llama, adapted, tokens_used=1000)
    return tmp_path / "d.safetensors"


@torch.no_grad()
def test_the_round_trip_rounds_little(path, llama, adapted, hf_ids):
    loaded = load_delta(path, llama)
    assert type(loaded) is type(adapted)
    assert loaded.config.to_dict() == adapted.config.to_dict()
    assert loaded.config.spec == adapted.config.spec
    exact = dict(adapted.named_parameters())
    for name, parameter in loaded.named_parameters():
        error = (parameter - exact[name]).abs()
        row = exact[name].abs().amax(-1, keepdim=True)
        assert bool((error <= row / 200 + 1e-4).all()), name
        if ".mlp." in name or "norm" in name or "embed" in name:
            assert torch.equal(parameter, exact[name]), name
    moved = [m.q_proj.weight for m in attention_modules(loaded)]
    wanted = [m.q_proj.weight for m in attention_modules(adapted)]
    for a, b in zip(moved, wanted, strict=True):  # a difference rounds finer than a matrix
        assert (a - b).abs().max() < 0.003 * 4 / 127
    logits, kept = adapted(hf_ids).logits, loaded(hf_ids).logits
    assert (logits - kept).square().mean() < 0.3 * logits.square().mean()  # random weights amplify


def test_a_weight_takes_about_a_byte(path, llama, adapted):
    tensors, about = load_tensors(path)
    changed = sum(p.numel() for m in attention_modules(adapted) for p in m.parameters())
    payload = sum(t.numel() * t.element_size() for t in tensors.values())
    halves = sum(t.numel() for t in tensors.values() if t.dtype == torch.float16)
    rows = sum(t.numel() for name, t in tensors.items() if name.endswith(".scale"))
    assert payload == changed + halves + rows
    assert halves < 0.1 * changed
    assert about["tokens_used"] == 1000
    assert about["base"] == {"model_type": "llama", "sha256": weights_sha256(llama)}
    assert about["codes_hash"] == adapted.config.codes_hash


def test_an_unchanged_model_is_nothing_but_new_tensors(tmp_path, hf_spec):
    base = make_family("gpt2")
    model = convert(base, hf_spec)
    save_delta(tmp_path / "d", base, model)
    assert all(".heads." in name for name in load_tensors(tmp_path / "d")[0])
    loaded = load_delta(tmp_path / "d", base)
    for a, b in zip(loaded.parameters(), model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-3)


def test_rows_round_to_their_own_range():
    x = torch.tensor([[1e-3, -2e-3], [0.0, 0.0], [5.0, 1.0]])
    rows = by_rows(x)
    assert rows.codes.dtype == torch.int8 and rows.scale.dtype == torch.float16
    assert rows.codes[1].tolist() == [0, 0] and rows.codes[2].tolist() == [127, 25]
    assert (rows.matrix - x).abs().amax(-1).tolist() <= [2e-3 / 200, 0.0, 5 / 200]


def test_another_base_is_refused(path, hf_spec):
    other = make_family("llama", rms_norm_eps=1e-5)
    with torch.no_grad():
        other.lm_head.weight[0, 0] += 1
    with pytest.raises(ArtefactError, match=r"belongs to base weights of SHA-256 .*those given"):
        load_delta(path, other)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda t, a: a.update(kind="adapted"),
            r"d.safetensors: kind = 'adapted': Input should",
        ),
        (lambda t, a: a.pop("base"), r"d.safetensors: base: Field required"),
        (lambda t, a: a["model"].pop("stage"), r"d.safetensors: model.stage: Field required"),
        (lambda t, a: t.update(strange=torch.zeros(2)), r"tensor strange is none of the model's"),
        (
            lambda t, a: t.pop(HEADS + SCALE),
            r"tensor model\.\S+\.mix_q\.scale is missing",
        ),
        (
            lambda t, a: t.update({n: x[:1] for n, x in t.items() if n.endswith("offset_q")}),
            r"shape",
        ),
        (lambda t, a: a.pop("relative"), r"d.safetensors: relative: Field required"),
        (lambda t, a: a.update(relative=["strange"]), r"relative = \['strange'\]: must be matri"),
        (lambda t, a: a.update(format=2), r"d.safetensors: format = 2: Input should be 1"),
        (lambda t, a: a["model"].update(mixing="yes"), r"model.mixing = 'yes': Input should be"),
        (lambda t, a: a.update(codes_hash="0"), r"its specification has codes .* made for 0$"),
        (lambda t, a: a["spec"]["geometry"].pop("subtile"), r"geometry.subtile: Field required"),
        (lambda t, a: t.update({HEADS + CODES: t[HEADS + CODES][:1]}), r"shape \(1, 16, 16\), exp"),
        (lambda t, a: t.update({HEADS + CODES: t[HEADS + CODES].int()}), r"has values of int32"),
        (lambda t, a: t.update({HEADS + SCALE: t[HEADS + SCALE][0]}), r"has shape \(16,\), exp"),
        (lambda t, a: t.update({HEADS: torch.zeros(1)}), r"mix_q is none of the model's$"),
        (lambda t, a: (t.pop(HEADS + CODES), t.pop(HEADS + SCALE)), r"mix_q is missing$"),
    ],
)
def test_a_wrong_file_is_refused(edit, message, path, llama):
    tensors, about = load_tensors(path)
    edit(tensors, about)
    save_tensors(path, tensors, about)
    with pytest.raises((ArtefactError, SpecError), match=message) as caught:
        load_delta(path, llama)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_sum_beyond_the_type_of_the_base_is_refused(path, llama):
    tensors, about = load_tensors(path)
    name = next(name for name in about["relative"] if name.endswith("q_proj.weight"))
    tensors[name + SCALE] = torch.full_like(tensors[name + SCALE], 6e4)
    tensors[name + CODES] = torch.full_like(tensors[name + CODES], 127)
    save_tensors(path, tensors, about)
    half = convert_base_to(torch.float16, path, llama)
    with pytest.raises(ArtefactError, match=rf"tensor {name} holds .* not finite in float16$"):
        load_delta(path, half)


def convert_base_to(dtype, path, base):
    """`base` in another type, and the delta in `path` relative to that."""
    other = base.to(dtype)
    tensors, about = load_tensors(path)
    about["base"]["sha256"] = weights_sha256(other)
    save_tensors(path, tensors, about)
    return other


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@torch.no_grad()
def test_a_model_from_a_delta_comes_back_as_it_was(dtype, family, hf_spec, hf_ids, tmp_path):
    """Bit for bit; what the adaptation left alone is the base's."""
    base = family.to(dtype)
    adapted = convert(base, hf_spec)
    heads_of(adapted)[0].mix_q.add_(0.1)
    save_delta(tmp_path / "d", base, adapted)
    loaded = load_delta(tmp_path / "d", base)
    for name, tensor in base.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    loaded.save_pretrained(tmp_path / "model")
    again = load_converted(tmp_path / "model")
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert torch.equal(again(hf_ids).logits, loaded(hf_ids).logits)


def test_models_of_different_kinds_have_no_delta(hf_spec, tmp_path):
    gpt2 = make_family("gpt2", tie_word_embeddings=True)
    untied = convert(make_family("gpt2", tie_word_embeddings=False), hf_spec)
    for base, adapted, message in (
        (make_family("llama"), convert(gpt2, hf_spec), r"is in the base or in the adapted model"),
        (
            gpt2,
            untied,
            r"^tensor lm_head\.weight is in the base or in the adapted m",
        ),
        (make_family("llama"), convert(make_family("mistral"), hf_spec), r"GainCellMistralForCaus"),
    ):
        with pytest.raises(ModelError, match=message):
            save_delta(tmp_path / "d", base, adapted)


def test_what_half_precision_cannot_hold_is_refused(tmp_path, llama, adapted):
    with torch.no_grad():
        heads_of(adapted)[0].offset_q[0, 0] = 1e6
    with pytest.raises(ArtefactError, match=r"offset_q has a value that half precision cannot"):
        save_delta(tmp_path / "d", llama, adapted)
    assert not (tmp_path / "d").exists()


def test_the_command_packs_and_unpacks(tmp_path, llama, adapted, capsys):
    base, model, file, out = (str(tmp_path / name) for name in ("base", "model", "d", "out"))
    llama.save_pretrained(base)
    adapted.save_pretrained(model)
    assert main(["pack", base, model, file]) == 0
    assert main(["unpack", base, file, out]) == 0
    assert "wrote" in capsys.readouterr().out
    assert {p.name for p in (tmp_path / "out").iterdir()} >= {"hardware.json", "model.safetensors"}
