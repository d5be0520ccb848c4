"""Signals of real text: queries, keys and values of the shipped model's heads, as real numbers.

The golden vectors hold them as codes. What a head with other levels would quantise is not there,
so it is drawn: uniform in the interval that a code stands for, codes at an end not beyond it.
At the recorded levels this quantises to the recorded codes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analog_models.spec import HardwareSpec, load_preset
from analog_models.spec.golden_format import GOLDEN, by_query_head, read_manifest, read_passage
from common.errors import SpecError
from estimate.errors import EstimateError

__all__ = ["GOLDEN", "Text", "read_text"]

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
    manifest = read_manifest(folder)
    try:
        spec = load_preset(manifest.preset)
    except SpecError as error:
        raise EstimateError(f"{folder}: {error}") from error
    if manifest.codes_hash != spec.codes_hash:
        raise EstimateError(f"{folder}: made for another {spec.name}; `make golden`")
    passage = by_query_head(read_passage(folder, manifest, spec))
    length = passage["q"].shape[2]
    if tokens is not None and tokens > length:
        raise EstimateError(f"tokens = {tokens}: allowed up to {length}, as {folder} has no more")
    rng = np.random.default_rng(seed)
    drawn = {}
    for name in SIGNALS:
        top = spec.levels.full_scale[name]
        codes = passage[name].reshape(-1, *passage[name].shape[-2:])  # [head, token, d]
        whole = codes + rng.uniform(-0.5, 0.5, codes.shape)
        drawn[name] = whole.clip(0, top)[:, :tokens] / top
    return Text(**drawn, sha256=manifest.files.passage.sha256, source=manifest.source)
