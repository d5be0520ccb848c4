"""Compile `kernel.c` for this machine, once, and call it on tensors."""

import ctypes
import hashlib
import os
import platform
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import torch
from torch import Tensor

from common.files import scratch_folder
from common.places import check_trusted, close_to_others, code_folder
from common.processes import run

SOURCE = Path(__file__).with_name("kernel.c")
FOLDER = code_folder() / "kernel"
FLAGS = (
    *("-std=gnu11", "-O3", "-march=native", "-fPIC", "-shared"),
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-ffinite-math-only"),
)
REALS = {torch.float32: "float", torch.float64: "double"}
VECTOR_BYTES = (64, 32, 16)
TALL = 4  # rows of a matrix that the kernel takes at once
INTEGERS = ("blocks", "group", "rows", "dim", "laps")
RANKS = ("powers", "ranks", "pulse_ranks", "gradient_ranks")
NUMBERS = ("step_v", "asymptote_v", "width_max", "count_max", "leak")
TABLES = ("places", "k_mix", "v_mix")


class KernelPlan(ctypes.Structure):
    """`Plan` of the C source: fields of the same names in the same order."""

    _fields_ = [
        *((name, ctypes.c_long) for name in INTEGERS + RANKS),
        *((name, ctypes.c_double) for name in NUMBERS),
        *((name, ctypes.c_void_p) for name in TABLES),
    ]


def processor() -> str:
    """What -march=native depends on: a folder may be shared by unlike machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _compile(command: list[str], path: Path) -> None:
    """Processes may do so at the same time: each puts a whole file in its place."""
    with scratch_folder(path.parent, "compiling-") as folder:
        made = folder / path.name
        run([*command, "-o", str(made)], environment=os.environ, capture_output=True, check=True)
        made.replace(path)
    close_to_others(path.parent)


def kernel(dtype: torch.dtype, rows: int, dim: int) -> ctypes.CDLL | None:
    """The library for float32 or float64 tensors and blocks of `rows` tokens of `dim` channels.

    None if it cannot take such blocks, or, with a warning, without a C compiler. Raises `ToolError`
    for a library that another user may have left there.
    """
    for size in VECTOR_BYTES:
        lanes = max(TALL, size // dtype.itemsize)
        if rows % lanes == 0 == dim % lanes:
            return compiled_library(dtype, size)
    return None


@cache
def compiled_library(dtype: torch.dtype, vector_bytes: int) -> ctypes.CDLL | None:
    """The kernel for a type and a width of vectors; without a compiler a warning, and None."""
    macros = (f"-Dreal={REALS[dtype]}", f"-DVECTOR_BYTES={vector_bytes}")
    command = [os.environ.get("CC", "cc"), *FLAGS, *macros, str(SOURCE)]
    parts = (*command[:-1], SOURCE.read_text("utf-8"), platform.machine(), processor())
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    path = FOLDER / f"attention-{key}.so"
    try:
        if not path.exists():
            _compile(command, path)
    except (OSError, CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        why = f"{command[0]}: {said.strip().splitlines()[0]}"
        warnings.warn(f"no compiled attention, training is slow: {why}", stacklevel=2)
        return None
    for place in (FOLDER, path):
        check_trusted(place)
    library = ctypes.CDLL(str(path))
    for function in (library.attend, library.attend_backward):
        function.restype = ctypes.c_int
    return library


def call(function: Any, plan: KernelPlan, *tensors: Tensor) -> None:
    """`function` over all key heads, the first dimension, divided among torch's threads.

    Raises `MemoryError` if there is no memory for its work space.
    """
    assert all(x.is_contiguous() and x.device.type == "cpu" for x in tensors)
    heads = len(tensors[0])
    step = -(-heads // min(heads, torch.get_num_threads()))

    def some(first: int) -> int:
        parts = [x[first : first + step] for x in tensors]
        pointers = [ctypes.c_void_p(x.data_ptr()) for x in parts]
        return function(ctypes.byref(plan), ctypes.c_long(len(parts[0])), *pointers)

    starts = range(0, heads, step)
    if not all(_in_parallel(some, starts)):
        raise MemoryError("no memory for the work space of attention")


def _in_parallel(function: Callable[[int], int], items: range) -> list[int]:
    if len(items) == 1:
        return [function(items[0])]
    with ThreadPoolExecutor(len(items)) as threads:
        return list(threads.map(function, items))
