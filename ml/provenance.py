"""What a run was: versions, git state, time; written beside every result."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

PACKAGES = ("torch", "numpy", "tokenizers", "safetensors")


def git_state() -> dict[str, Any]:
    """The commit and whether files differ from it; empty outside a git checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.CalledProcessError):
        return {}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def describe() -> dict[str, Any]:
    """Versions of Python and the packages, git state, and the time in UTC."""
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "git": git_state(),
        "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }
