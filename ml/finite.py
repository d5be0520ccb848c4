"""Where a number stops being finite."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ml.errors import ModelError


def is_finite(tensor: Tensor) -> bool:
    """Whether every value is finite.

    Adding them up is faster than looking at each; a sum may be infinite though no value is.
    """
    if not tensor.is_floating_point():
        return True
    total = tensor.sum(dtype=torch.promote_types(tensor.dtype, torch.float32))
    return bool(torch.isfinite(total)) or bool(torch.isfinite(tensor).all())


@contextmanager
def finite_outputs(model: nn.Module) -> Iterator[None]:
    """Inside, the first module of `model` that gives a value which is not finite is an error.

    Raises ModelError with the name of that module.
    """

    def check(name: str, _module: nn.Module, _args: Any, output: Any) -> None:
        if not all(map(is_finite, _tensors(output))):
            raise ModelError(
                f"{name or type(model).__name__}: its output is not finite; the weights before it "
                "are damaged, or too large for their type"
            )

    hooks = [
        module.register_forward_hook(partial(check, name)) for name, module in model.named_modules()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def fitting(name: str, module: nn.Module) -> Iterator[None]:
    """Inside, `module` is fitted to statistics; afterwards its parameters must be finite.

    Raises ModelError with its `name` where that cannot be done: for signals that never vary, or
    beyond what their type holds.
    """
    try:
        yield
        finite = all(map(is_finite, module.parameters()))
    except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
        finite = False
    if not finite:
        raise ModelError(
            f"{name}: queries, keys or values do not vary with the text, or beyond all bounds: no "
            "range fits them"
        )


def _tensors(output: Any) -> Iterator[Tensor]:
    """The tensors in what a module returns."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple | list | Mapping):
        for part in output.values() if isinstance(output, Mapping) else output:
            yield from _tensors(part)
