"""Readers of golden vectors: the co-simulation's, and that of the sweep's text."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from safetensors.numpy import save

from analog_models.spec import load_preset
from analog_models.spec.golden_format import PASSAGE, WRAP
from cosim.reference.golden_streams import Golden, load_golden
from estimate.sweep.signals import Text, read_text
from tests.fuzz.mutations import damaged_folder, damaged_json, damaged_tensors
from tests.fuzz.reading import Reader

MANIFEST = "manifest.json"
SPEC = load_preset()
LAYERS, HEADS, TOKENS = 2, 2, 3


def _tensors(*shape: int) -> dict[str, np.ndarray]:
    rng, dim = np.random.default_rng(0), SPEC.geometry.head_dim
    tops = {"q": SPEC.levels.q, "k": SPEC.levels.kv, "v": SPEC.levels.kv}
    codes = {n: rng.integers(0, top, (*shape, dim), dtype=np.uint8) for n, top in tops.items()}
    return codes | {"out": rng.integers(-240, 241, (*shape, dim), dtype=np.int16)}


PASSAGE_TENSORS = _tensors(LAYERS, HEADS, TOKENS)
PASSAGE_TENSORS |= {name: PASSAGE_TENSORS[name][:, :1] for name in "kv"}
WRAP_TENSORS = _tensors(TOKENS)
FILES = {PASSAGE: save(dict(PASSAGE_TENSORS)), WRAP: save(dict(WRAP_TENSORS))}
STRINGS = [f"word{number}" for number in range(TOKENS)]


def _manifest(files: dict[str, bytes]) -> dict[str, Any]:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return {
        **SPEC.hashes,
        "preset": SPEC.name,
        "window": SPEC.geometry.window,
        "files": {
            PASSAGE: {
                "sha256": digests[PASSAGE],
                "strings": STRINGS,
                "predicted_strings": STRINGS,
                "layers": [0, 3],
            },
            WRAP: {"sha256": digests[WRAP], "layer": 3, "head": 1},
        },
        "source": "a text",
    }


def _folder(files: dict[str, bytes]) -> dict[str, bytes]:
    """Both files with a manifest that has their digests."""
    return {**files, MANIFEST: json.dumps(_manifest(files)).encode()}


def _check_golden(golden: Golden, _: Path) -> None:
    for stream in (golden.passage_stream(), golden.passage_stream(1), golden.wrap_stream()):
        job = stream.job(SPEC)
        job.check(SPEC)
        assert len(stream.heads) == job.tokens and abs(stream.out.astype(int)).max() <= SPEC.out_max
    assert len(golden.layers) == len(golden.passage["q"])
    assert len(golden.text) == len(golden.predicted) == golden.passage["q"].shape[2]


def _check_text(text: Text, _: Path) -> None:
    assert text.q.shape == text.k.shape == text.v.shape
    assert all(0 <= signal.min() <= signal.max() <= 1 for signal in (text.q, text.k, text.v))


_manifests = damaged_json(_manifest(FILES))
_passages = damaged_tensors(PASSAGE_TENSORS)
_of_passage = st.one_of(
    damaged_folder(_folder(FILES), {MANIFEST: _manifests, PASSAGE: _passages}),
    _passages.map(lambda content: _folder({**FILES, PASSAGE: content})),
)
_of_wrap = damaged_tensors(WRAP_TENSORS).map(lambda content: _folder({**FILES, WRAP: content}))


def _without_wrap(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name != WRAP}


READERS = [
    Reader(
        "golden vectors",
        _folder(FILES),
        st.one_of(_of_passage, _of_wrap),
        lambda folder: load_golden(SPEC, folder),
        _check_golden,
    ),
    Reader(
        "text of the sweep",
        _without_wrap(_folder(FILES)),
        _of_passage.map(_without_wrap),
        read_text,
        _check_text,
    ),
]
