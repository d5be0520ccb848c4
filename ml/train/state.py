"""What the state file of a training run says beside its tensors."""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from common.records import Record


class Progress(BaseModel):
    """Where a run stands; saved with it, but for a best loss that is infinite."""

    model_config = ConfigDict(strict=True, extra="forbid")

    step: int = Field(default=0, ge=0)
    best_loss: float = math.inf
    best_step: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)


class Header(Record):
    """The header of a state file. `remembered`: parameters that an optimiser has seen."""

    progress: Progress
    settings: dict[str, Any]
    remembered: list[str] = Field(default_factory=list)
