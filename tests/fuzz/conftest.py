"""How many examples the fuzzers try, and what `make fuzz` prints and writes at the end.

By default few, always the same ones. `GAINCELL_FUZZ=N` tries N random ones of each reader.
"""

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from common.files import write_json

FEW = 40
RESULT = Path("build/fuzz/result.json")
MANY = os.environ.get("GAINCELL_FUZZ", "")
TALLY = pytest.StashKey[dict[str, Counter]]()


def _examples() -> int:
    if MANY and not re.fullmatch("[1-9][0-9]{0,6}", MANY):
        raise pytest.UsageError(f"GAINCELL_FUZZ = {MANY!r}: needs a whole number from 1 to 9999999")
    return int(MANY or FEW)


_common: dict[str, Any] = {
    "deadline": None,  # a reader that hangs is stopped elsewhere, and this machine may be busy
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": True,
}
settings.register_profile(
    "fuzz-few", max_examples=FEW, derandomize=True, phases=[Phase.generate, Phase.shrink], **_common
)
settings.register_profile("fuzz-many", max_examples=_examples(), **_common)


@pytest.fixture
def budget() -> settings:
    return settings.get_profile("fuzz-many" if MANY else "fuzz-few")


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Counter:
    """Counts of the reader that the test is about."""
    tallies = request.config.stash.setdefault(TALLY, {})
    return tallies.setdefault(str(request.node.callspec.params["reader"]), Counter())


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    tallies = config.stash.get(TALLY, {})
    if not MANY or not tallies:
        return
    columns = ("examples", "refused", "accepted", "failures")
    rows = [{"reader": name, **{c: counts[c] for c in columns}} for name, counts in tallies.items()]
    for row in rows:
        terminalreporter.write_line(
            f"{row['reader']:32}" + "".join(f"{row[c]:9,} {c}" for c in columns)
        )
    terminalreporter.write_line(f"result: {write_json(RESULT, {'rows': rows})}")
