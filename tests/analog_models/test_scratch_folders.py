"""Folders of a run: gone after it, whatever ended it, and never before."""

import os
import signal
import subprocess
import sys

from common.files import scratch_folder

HOLD = """
import sys
from pathlib import Path
from common.files import scratch_folder
with scratch_folder(Path(sys.argv[1]), "job-") as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


def holder(parent):
    """A process that has a scratch folder until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(parent)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **pipes)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_scratch_folder_is_gone_after_the_block(tmp_path):
    with scratch_folder(tmp_path / "new", "job-") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
    assert not folder.exists() and folder.name.startswith("job-")


def test_a_folder_of_a_killed_process_goes_at_the_next_start(tmp_path):
    killed, abandoned = holder(tmp_path)
    with killed:
        killed.send_signal(signal.SIGKILL)
    assert os.path.isdir(abandoned)
    (tmp_path / "job-older").mkdir()  # of a version that locked nothing
    (tmp_path / "other").mkdir()
    with scratch_folder(tmp_path, "job-") as folder:
        assert {path.name for path in tmp_path.glob("[!.]*")} == {folder.name, "other"}


def test_a_folder_in_use_stays(tmp_path):
    process, theirs = holder(tmp_path)
    with process:
        with scratch_folder(tmp_path, "job-") as ours:
            assert os.path.isdir(theirs) and str(ours) != theirs
        assert os.path.isdir(theirs)
        process.communicate()
    assert not os.path.isdir(theirs)
