import pytest
import torch

from analog_models.head import GoldenHead
from common.files import write_json
from cosim.reference.golden_streams import load_golden
from ml.checkpoint import load_tensors
from ml.errors import SettingError
from ml.evaluate.golden import codes_of, make_wrap, write_golden
from ml.models import convert


class Letters:
    def decode(self, ids):
        return "".join(chr(48 + i) for i in ids)


@pytest.fixture
def model(family, hf_spec):
    return convert(family, hf_spec)


@pytest.fixture
def folder(model, hf_ids, tmp_path):
    write_json(tmp_path / "manifest.json", write_golden(model, Letters(), hf_ids[0], tmp_path, [1]))
    return tmp_path


def test_recording_changes_nothing(model, hf_ids):
    codes, predicted = codes_of(model.double(), hf_ids[0])
    with torch.no_grad():
        logits = model(hf_ids[:1], use_cache=False).logits
    assert torch.equal(predicted, logits[0].argmax(-1))
    heads, shared = model.config.num_attention_heads, codes.k.shape[1]
    assert codes.q.shape == codes.out.shape == (2, heads, 60, 16)
    assert codes.k.shape == codes.v.shape == (2, shared, 60, 16) and heads % shared == 0


def test_the_golden_head_replays_each_query_head_with_its_keys(folder, hf_spec):
    passage, _ = load_tensors(folder / "passage.safetensors")
    heads, shared = passage["q"].shape[1], passage["k"].shape[1]
    for head in (0, heads - 1):
        own = head * shared // heads
        codes = (passage["q"][0, head], passage["k"][0, own], passage["v"][0, own])
        out = GoldenHead(hf_spec, xp=torch).run(*codes)
        assert torch.equal(out, passage["out"][0, head].double())
    wrap, _ = load_tensors(folder / "wrap.safetensors")
    assert len(wrap["q"]) > hf_spec.geometry.window
    out = GoldenHead(hf_spec, xp=torch).run(*(wrap[name] for name in "qkv"))
    assert torch.equal(out, wrap["out"].double()) and out.abs().max() > 2


def test_the_wrap_has_the_keys_of_its_own_head(model, hf_ids):
    model = model.double()
    codes, _ = codes_of(model, hf_ids[0])
    last = codes.q.shape[1] - 1
    wrap = make_wrap(model, hf_ids[0], 1, last)
    assert torch.equal(wrap["q"].double(), codes.q[1, last])
    assert torch.equal(wrap["k"].double(), codes.k[1, -1])
    assert torch.equal(wrap["out"].double(), codes.out[1, last])


def test_the_co_simulation_reads_them_group_by_group(folder, hf_spec):
    golden = load_golden(hf_spec, folder)
    stream = golden.passage_stream(5)
    heads = golden.passage["q"].shape[1]
    assert len(stream.q) == 5 * heads and golden.layers == [1]
    assert set(stream.heads) == {f"1.{head}" for head in range(heads)}
    job = stream.job(hf_spec)
    job.check(hf_spec)
    assert job.query_only.sum() == 5 * (heads - heads // golden.group)
    head = GoldenHead(hf_spec)
    for token in range(job.tokens):
        if job.query_only[token]:
            trace = head.query(job.q[token])
        else:
            if job.flush[token]:
                head.flush()
            trace = head.step(job.q[token], job.k[token], job.v[token])
        assert (trace.out == stream.out[token]).all(), stream.heads[token]


def test_bad_settings_are_named(model, hf_ids, tmp_path):
    with pytest.raises(SettingError, match=r"^text has 7 tokens, must have 20 or more"):
        write_golden(model, Letters(), hf_ids[0, :7], tmp_path)
    with pytest.raises(SettingError, match=r"^layers has 2, must be 0 to 1"):
        write_golden(model, Letters(), hf_ids[0], tmp_path, [2])
