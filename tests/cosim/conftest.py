"""Random jobs, and what the golden head makes of them."""

from typing import Any

import numpy as np
import pytest

from analog_models.spec import HardwareSpec, load_preset
from cosim.reference.comparison import golden_codes
from cosim.run.job import Job


@pytest.fixture(scope="session")
def full() -> HardwareSpec:
    return load_preset()


def small_spec(**changes: Any) -> HardwareSpec:
    """A head of 3 sub-tiles of 8 x 8 cells, its converters scaled so that signals stay lively."""
    sizes = {"geometry__head_dim": 8, "geometry__subtile": 8, "geometry__subtiles": 3}
    lively = {"converter__s_sat": 10.0, "converter__a_sat": 4.0, "leakage__decay_per_token": 0.01}
    return load_preset().replace(name="small", **sizes | lively | changes)


def random_job(spec: HardwareSpec, tokens: int, seed: int, flushes: float = 0.0, **options) -> Job:
    """Random codes; sequences start with probability `flushes`, then of a random window length."""
    rng = np.random.default_rng(seed)
    shape = (tokens, spec.geometry.head_dim)
    levels = spec.levels
    q, k, v = (rng.integers(0, n, shape, dtype=np.uint8) for n in (levels.q, levels.kv, levels.kv))
    flush = (rng.random(tokens) < flushes).astype(np.uint8)
    length = np.full(tokens, spec.geometry.window, dtype=np.int32)
    if flushes:
        length = rng.integers(1, spec.geometry.window + 1, tokens, dtype=np.int32)
    return Job(q, k, v, flush, length, seed=seed, **options)


def expected_codes(spec: HardwareSpec, job: Job) -> np.ndarray:
    """Output codes [token, d] of the golden head in numpy."""
    return golden_codes(spec, job)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """A folder for results; compiled simulations are shared with the other tests."""
    return tmp_path_factory.mktemp("build")
