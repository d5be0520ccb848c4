"""What codes ask of the device that they are on: no autocast, and double precision."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from ml.errors import ModelError


def whole_numbers(x: Tensor) -> AbstractContextManager[object]:
    """Inside, autocast rounds nothing on the device of `x`: a code is not a matter of speed."""
    kind = x.device.type
    return (
        torch.autocast(kind, enabled=False)
        if torch.amp.is_autocast_available(kind)
        else nullcontext()
    )


def doubles(codes: Tensor) -> Tensor:
    """`codes` in float64. Raises ModelError on a device that has none, as Apple's mps."""
    try:
        return codes.double()
    except TypeError as error:
        raise ModelError(
            f"device {codes.device.type} has no double precision, which exact output codes need: "
            "move the model to cpu or cuda"
        ) from error
