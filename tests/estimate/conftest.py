"""What was measured, and circuits that fit it."""

import pytest

from estimate.circuits.calibration import calibrated
from estimate.head import Head
from estimate.measured import load_measured


@pytest.fixture(scope="session")
def measured():
    return load_measured()


@pytest.fixture(scope="session")
def circuits(measured):
    return calibrated(measured)


@pytest.fixture(scope="session")
def head(measured, circuits):
    """The paper's head in the paper's schedule."""
    return Head(measured.spec, circuits, measured, "leroux2025")
