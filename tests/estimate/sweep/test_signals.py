"""Signals of the golden vectors."""

import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from analog_models.spec import load_preset
from analog_models.spec.golden_format import PASSAGE
from common.errors import ArtefactError
from estimate.errors import EstimateError
from estimate.sweep.signals import GOLDEN, read_text


def test_signals_are_within_the_intervals_of_their_codes():
    recorded, text = load_file(GOLDEN / PASSAGE), read_text()
    for name, codes in zip("qkv", text.codes(load_preset()), strict=True):
        assert np.array_equal(codes, recorded[name].reshape(16, 128, 64)), name
        signal = getattr(text, name)
        assert signal.min() == 0 and signal.max() == 1
    assert not np.array_equal(text.q * 15, np.round(text.q * 15))


def test_the_seed_draws_the_signals_and_tokens_cut_them():
    text, short = read_text(), read_text(tokens=5)
    assert short.q.shape == (16, 5, 64) and np.array_equal(short.v, text.v[:, :5])
    assert not np.array_equal(read_text(seed=1).q, text.q)


@pytest.fixture
def copied(tmp_path):
    for name in ("manifest.json", PASSAGE):
        shutil.copy(GOLDEN / name, tmp_path)
    return tmp_path


def test_an_altered_file_is_refused(copied):
    content = bytearray((copied / PASSAGE).read_bytes())
    content[-1] ^= 1
    (copied / PASSAGE).write_bytes(content)
    with pytest.raises(ArtefactError, match=r"passage.safetensors: SHA-256 is .*manifest"):
        read_text(copied)


def test_a_manifest_of_another_preset_is_refused(copied):
    manifest = copied / "manifest.json"
    manifest.write_text(manifest.read_text().replace(load_preset().codes_hash, "0" * 16))
    with pytest.raises(EstimateError, match="made for another leroux2025"):
        read_text(copied)
    manifest.write_text("{}")
    with pytest.raises(ArtefactError, match=r"manifest.json: .*preset: Field required"):
        read_text(copied)
