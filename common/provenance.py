"""What a run was: versions, git state and time, to be written beside every result."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from common.processes import run

__all__ = ["git_state", "provenance"]


def git_state() -> dict[str, Any]:
    """The project's commit and whether tracked files differ from it; empty outside a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "-uno"))}
    except (OSError, CalledProcessError):
        return {}


def _git(*arguments: str) -> str:
    root = Path(__file__).parent
    command = ["git", "-C", str(root), *arguments]
    return run(command, environment=os.environ, capture_output=True, check=True).stdout.strip()


def provenance(packages: Sequence[str]) -> dict[str, Any]:
    """Versions of Python, the system and `packages`, git state, and the time in UTC."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: version(name) for name in packages},
        "git": git_state(),
        "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }
