"""What a command starts ends with it, and gets a clean environment."""

import os
import signal
import subprocess
import threading
import time
from concurrent.futures import as_completed
from pathlib import Path

import pytest

from common import processes
from common.guardian import VARIABLE, marked
from common.processes import adopted, clean_environment, run, start, threads, workers
from tests.running import END_S, WAIT_S, Running, wait_until

# A program whose grandchild leaves its group and its session, as some do.
FAMILY = ["sh", "-c", "setsid sleep 611 & sleep 612"]


class Fault(Exception):
    """What ends a block."""


def sleepers(family="61[12]"):
    """Processes of `FAMILY` that live and that we have started."""
    pattern = ["pgrep", "-f", f"^sleep {family}$"]
    found = subprocess.run(pattern, capture_output=True, text=True).stdout.split()
    return set(map(int, found)) & set(marked(processes.own_mark()))


def test_the_output_is_that_of_the_program():
    done = run(["sh", "-c", "echo ⏎; echo µ >&2; exit 3"], capture_output=True)
    assert (done.stdout, done.stderr, done.returncode) == ("⏎\n", "µ\n", 3)
    assert run(["cat"], input=b"\xff\n", capture_output=True).stdout == "\ufffd\n"
    assert run(["cat"], input=b"\xff\n", capture_output=True, encoding=None).stdout == b"\xff\n"
    with pytest.raises(subprocess.CalledProcessError):
        run(["false"], check=True)


def test_a_program_gets_nothing_that_was_exported(monkeypatch):
    for name in ("COCOTB_RESOLVE_X", "GPI_EXTRA", "MAKEFLAGS", "PYTHONPATH", "LD_PRELOAD", "CC"):
        monkeypatch.setenv(name, "")
    lines = run(["env"], capture_output=True).stdout.splitlines()
    names = {line.partition("=")[0] for line in lines}
    assert names == {*clean_environment(), VARIABLE, "TMPDIR"}
    assert names <= {*processes.KEPT, "LC_ALL", "PYTHONUTF8", VARIABLE, "TMPDIR"}


def test_a_program_may_get_all_that_was_exported(monkeypatch):
    monkeypatch.setenv("http_proxy", "somewhere")
    command = ["sh", "-c", "echo $http_proxy"]
    assert run(command, environment=os.environ, capture_output=True).stdout == "somewhere\n"


def test_the_system_limits_processor_time():
    assert run(["sh", "-c", "ulimit -t"], cpu_s=7, capture_output=True).stdout == "7\n"
    assert run(["sh", "-c", "while :; do :; done"], cpu_s=1).returncode == -signal.SIGKILL


def test_an_exception_ends_a_program_and_what_it_has_started():
    with pytest.raises(Fault), start(FAMILY):
        assert wait_until(lambda: len(sleepers()) == 2, WAIT_S)
        raise Fault
    assert not sleepers()


def test_a_fault_in_one_thread_ends_the_programs_of_all_and_starts_no_more():
    started = []

    def work(number):
        started.append(number)
        if number == 1:
            assert wait_until(lambda: len(sleepers()) == 2, WAIT_S)
            raise Fault
        run(FAMILY)

    def several():
        with threads(2) as pool:
            for done in as_completed([pool.submit(work, number) for number in range(5)]):
                yield done.result()

    begin = time.monotonic()
    with pytest.raises(Fault):
        list(several())
    assert not sleepers() and time.monotonic() - begin < WAIT_S
    assert started[:2] == [0, 1] and len(started) < 5


def test_programs_of_other_blocks_live_on():
    with start(["sleep", "613"]) as other:
        with pytest.raises(Fault), threads(1):
            raise Fault
        assert other.poll() is None
        other.kill()


def test_what_a_library_starts_ends_with_the_block():
    children = []
    with pytest.raises(Fault), adopted():
        children.append(subprocess.Popen(FAMILY))
        assert wait_until(lambda: len(sleepers()) == 2, WAIT_S)
        raise Fault
    assert not sleepers() and children[0].wait() == -signal.SIGKILL
    assert VARIABLE not in os.environ


def test_workers_that_compute_end_with_the_block():
    begin = time.monotonic()
    with pytest.raises(Fault), workers(2) as pool:
        pool.submit(time.sleep, 600)
        pool.submit(os.getpid).result()
        raise Fault
    assert time.monotonic() - begin < WAIT_S
    with workers(1) as pool:
        assert pool.submit(pow, 2, 3).result() == 8


def test_a_worker_that_is_killed_is_an_error_of_one_line():
    with pytest.raises(ChildProcessError, match="a worker process was killed"), workers(1) as pool:
        pool.submit(os.kill, pool.submit(os.getpid).result(), signal.SIGKILL).result()


# A process that starts all kinds of children and waits for them.
PARENT = """
import os, subprocess, sys, time
from common import processes

def wait(pool):
    pool.submit(time.sleep, 600).result()

if __name__ == "__main__":
    with processes.adopted():
        subprocess.Popen(["sleep", "614"])
    with processes.workers(1) as computing, processes.threads(2) as pool:
        for command in (["sleep", "615"], ["sh", "-c", "setsid sleep 616 & sleep 617"]):
            pool.submit(processes.run, command)
        print(processes._guarded().temporary, flush=True)
        wait(computing)
"""


def test_what_a_killed_process_has_started_ends_too(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    with Running("parent", PYTHONPATH=str(tmp_path)) as parent:
        assert parent.process.stdout is not None
        temporary = Path(parent.process.stdout.readline().strip())
        parent.wait_for("sleep", count=4)
        assert temporary.exists()
        parent.end(signal.SIGKILL)
    assert wait_until(lambda: not temporary.exists(), END_S)


def test_a_forked_process_has_a_guardian_of_its_own():
    ours = processes.own_mark()
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.write(writer, processes.own_mark().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 1000).decode()
    os.close(reader)
    os.close(writer)
    assert theirs and theirs != ours and processes.own_mark() == ours


def test_no_thread_stays_behind():
    before = threading.active_count()
    with pytest.raises(Fault), threads(3) as pool:
        pool.submit(run, ["sleep", "618"])
        raise Fault
    assert wait_until(lambda: threading.active_count() == before, WAIT_S)
