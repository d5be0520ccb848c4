"""The compiled kernel: whose it is, and where it lies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from common.errors import ToolError
from ml.attention import kernel as attention_kernel
from ml.attention.kernel import SOURCE, kernel

ROOT = Path(__file__).parents[3]
COMPILE = """
import sys
from pathlib import Path
import torch
from ml.attention import kernel as attention_kernel
attention_kernel.FOLDER = Path(sys.argv[1])
assert attention_kernel.kernel(torch.float32, 64, 64) is not None
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder for kernels, in which this test's are."""
    attention_kernel.compiled_library.cache_clear()
    monkeypatch.setattr(attention_kernel, "FOLDER", tmp_path / "kernel")
    yield tmp_path / "kernel"
    attention_kernel.compiled_library.cache_clear()


def test_it_lies_in_the_checkout_wherever_one_stands():
    assert ROOT / "build" / "kernel" == attention_kernel.FOLDER


def test_its_name_tells_source_flags_and_processor(folder, monkeypatch):
    names = set()
    for name, value in (
        (None, None),
        ("processor", lambda: "another"),
        ("FLAGS", (*attention_kernel.FLAGS, "-DANOTHER")),
        ("SOURCE", folder.parent / "another.c"),
    ):
        (folder.parent / "another.c").write_text(SOURCE.read_text("utf-8") + "\n")
        attention_kernel.compiled_library.cache_clear()
        with monkeypatch.context() as patch:
            if name:
                patch.setattr(attention_kernel, name, value)
            assert kernel(torch.float32, 64, 64) is not None
        names.add(frozenset(path.name for path in folder.glob("attention-*.so")))
    assert sorted(map(len, names)) == [1, 2, 3, 4]
    assert {path.name for path in folder.glob("[!.]*")} == max(names, key=len)  # and nothing else


@pytest.mark.slow
def test_processes_may_compile_it_at_the_same_time(folder):
    command = [sys.executable, "-c", COMPILE, str(folder)]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert len([*folder.glob("attention-*.so")]) == 1


def test_one_that_anyone_may_have_written_is_refused(folder):
    assert kernel(torch.float32, 64, 64) is not None
    (path,) = folder.glob("attention-*.so")
    path.chmod(0o777)
    attention_kernel.compiled_library.cache_clear()
    with pytest.raises(ToolError, match=r"attention-\w+\.so: may be written by anyone"):
        kernel(torch.float32, 64, 64)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_one_in_a_folder_of_another_user_is_refused(folder):
    assert kernel(torch.float32, 64, 64) is not None
    os.chown(folder, 65534, 65534)
    attention_kernel.compiled_library.cache_clear()
    with pytest.raises(ToolError, match="belongs to another user"):
        kernel(torch.float32, 64, 64)


def test_without_a_compiler_there_is_none_and_a_warning_says_so(folder, monkeypatch):
    monkeypatch.setenv("CC", "/nonexistent/cc")
    with pytest.warns(
        UserWarning, match="no compiled attention, training is slow: /nonexistent/cc"
    ):
        assert kernel(torch.float32, 64, 64) is None
    assert not [*folder.glob("[!.]*")]
