"""Signals of real text: queries, keys and values of the shipped model's heads, as real numbers.

The golden vectors hold them as codes. What a head with other levels would quantise is not there,
so it is drawn: uniform in the interval that a code stands for, codes at an end not beyond it.
At the recorded levels this quantises to the recorded codes.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from analog_models.errors import ArtefactError
from analog_models.files import read_json, sha256
from analog_models.physics import check_codes
from analog_models.spec import HardwareSpec, load_preset
from estimate.errors import EstimateError

__all__ = ["GOLDEN", "Text", "read_text"]

GOLDEN = Path(__file__).parents[2] / "ml" / "golden"
PASSAGE = "passage.safetensors"
SIGNALS = ("q", "k", "v")


@dataclass(frozen=True)
class Text:
    """q, k, v: [head, token, d] in units of the full scale, 0 to 1. sha256: of the file."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    sha256: str
    source: str

    @property
    def tokens(self) -> int:
        return self.q.shape[1]

    def codes(self, spec: HardwareSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nearest codes that `spec` has, as floats."""
        full = spec.levels.full_scale
        q, k, v = (np.floor(getattr(self, name) * full[name] + 0.5) for name in SIGNALS)
        return q, k, v


def read_text(folder: Path = GOLDEN, tokens: int | None = None, seed: int = 0) -> Text:
    """All heads on the first `tokens` tokens of the golden passage (all by default).

    Raises `ArtefactError` for a missing, truncated or altered file, `EstimateError` for one made
    for a preset that is another one now, or for more tokens than there are.
    """
    manifest = read_json(folder / "manifest.json")
    try:
        spec, made_for = load_preset(manifest["preset"]), manifest["codes_hash"]
        digest, source = manifest["files"][PASSAGE]["sha256"], manifest["source"]
    except (KeyError, TypeError) as error:
        raise ArtefactError(f"{folder / 'manifest.json'}: has no entry {error}") from error
    if made_for != spec.codes_hash:
        raise EstimateError(f"{folder}: made for another {spec.name}; `make golden`")
    codes = _codes(folder / PASSAGE, digest, spec)
    length = codes["q"].shape[1]
    if tokens is not None and tokens > length:
        raise EstimateError(f"tokens = {tokens}: allowed up to {length}, as {folder} has no more")
    rng = np.random.default_rng(seed)
    drawn = {}
    for name in SIGNALS:
        top = spec.levels.full_scale[name]
        whole = codes[name] + rng.uniform(-0.5, 0.5, codes[name].shape)
        drawn[name] = whole.clip(0, top)[:, :tokens] / top
    return Text(**drawn, sha256=digest, source=source)


def _codes(path: Path, digest: str, spec: HardwareSpec) -> dict[str, np.ndarray]:
    """Codes [head, token, d]; keys and values of a group once for each of its query heads."""
    if sha256(path) != digest:
        raise ArtefactError(f"{path}: altered or truncated, its manifest has another SHA-256")
    try:
        arrays = load(path.read_bytes())
        codes = {name: arrays[name].astype(np.float64) for name in SIGNALS}
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ArtefactError(f"{path}: no golden passage: {error}") from error
    group = codes["q"].shape[1] // codes["k"].shape[1]
    for name in SIGNALS:
        check_codes(codes[name], spec.levels.full_scale[name] + 1, f"{path}: {name}")
        if name != "q":
            codes[name] = codes[name].repeat(group, axis=1)
        codes[name] = codes[name].reshape(-1, *codes[name].shape[-2:])
    return codes
