import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from common.errors import SpecError, run_command
from common.interrupts import Interrupted


def outcome(main, capsys, **options):
    with pytest.raises(SystemExit) as stop:
        run_command(main, **options)
    return stop.value.code, capsys.readouterr().err


def raising(error):
    def main():
        raise error

    return main


def test_what_main_returns_is_the_exit_status(capsys):
    assert outcome(lambda: 1, capsys) == (1, "")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (SpecError("levels.q = 1: too few"), 2, "error: levels.q = 1: too few\n"),
        (PermissionError(13, "Permission denied", "build"), 2, "error: build: Permission denied\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (Interrupted(signal.SIGINT), 130, "interrupted\n"),
        (Interrupted(signal.SIGTERM), 143, "interrupted by SIGTERM\n"),
        (Interrupted(signal.SIGHUP), 129, "interrupted by SIGHUP\n"),
        (SystemExit(2), 2, ""),
    ],
)
def test_known_errors_are_one_line(error, status, line, capsys):
    assert outcome(raising(error), capsys) == (status, line)


def test_a_fault_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(raising(ZeroDivisionError()))


def test_a_command_that_can_be_resumed_says_so(capsys):
    line = "interrupted by SIGTERM; the same command goes on from there\n"
    stop = Interrupted(signal.SIGTERM)
    assert outcome(raising(stop), capsys, resumable=True) == (143, line)


def test_a_signal_ends_a_command(capsys):
    def main():
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError

    assert outcome(main, capsys) == (143, "interrupted by SIGTERM\n")


PRINT = r"""
import sys
from common.errors import SpecError, run_command

def main():
    for _ in range(int(sys.argv[1])):
        print("\u23ce \xb5 \xd7")
    raise SpecError("\u03c6") if sys.argv[2:] else SystemExit(0)

run_command(main)
"""


def printing(*arguments, stdout: Any = subprocess.PIPE, **variables):
    """Process that prints so many lines and, if there is a second argument, ends in an error."""
    command = [sys.executable, "-c", PRINT, *arguments]
    environment = os.environ | variables
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=environment)


@pytest.mark.parametrize(
    ("variables", "out", "err"),
    [
        ({"PYTHONIOENCODING": "ascii"}, b"\\u23ce \\xb5 \\xd7\n", b"error: \\u03c6\n"),
        ({"PYTHONIOENCODING": "latin-1"}, b"\\u23ce \xb5 \xd7\n", b"error: \\u03c6\n"),
        (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            b"\\u23ce \\xb5 \\xd7\n",
            b"error: \\u03c6\n",
        ),
        ({"PYTHONIOENCODING": "utf-8"}, "⏎ µ ×\n".encode(), "error: φ\n".encode()),
    ],
)
def test_a_character_that_a_terminal_lacks_ends_no_command(variables, out, err):
    assert printing("1", "x", **variables).communicate() == (out, err)


@pytest.mark.parametrize("lines", ["1", "100000"])
def test_nobody_reads_the_output(lines):
    reader, writer = os.pipe()
    os.close(reader)
    process = printing(lines, stdout=writer)
    os.close(writer)
    assert process.communicate()[1] == b"" and process.returncode == 141


@pytest.mark.parametrize("lines", ["1", "100000"])
def test_a_full_disk_is_one_line(lines):
    with open("/dev/full", "wb") as full:
        process = printing(lines, stdout=full)
    assert process.communicate()[1] == b"error: system: No space left on device\n"
    assert process.returncode == 2
