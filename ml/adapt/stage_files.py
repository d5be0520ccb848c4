"""Finished stages of an adaptation: one file each, of one teacher and one hardware."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from analog_models.spec import HardwareSpec
from common.errors import ArtefactError, readable, shown
from common.files import sha256
from ml.checkpoint import load_tensors, save_tensors


def origin_of(teacher: str, spec: HardwareSpec, **options: Any) -> str:
    """Digest of a teacher (its own digest), of the physics of `spec`, and of `options`."""
    values = spec.model_dump(mode="json", exclude={"name", "timing", "schedules"})
    text = json.dumps([teacher, values, *([options] if options else [])])
    return hashlib.sha256(text.encode()).hexdigest()


def load_stage(path: Path, origin: str | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of the finished stage in the file `path`.

    Raises ArtefactError, also for a stage of another teacher or hardware than those of `origin`;
    None: any.
    """
    tensors, about = load_tensors(path)
    if about.get("kind") != "stage":
        raise ArtefactError(f"{path}: kind is {shown(about.get('kind'))}, expected 'stage'")
    if origin is not None and about.get("origin") != origin:
        raise ArtefactError(
            f"{path}: of another teacher or hardware; remove {path.parent} or choose another folder"
        )
    return tensors, about


@dataclass(frozen=True)
class StageFolder:
    """Where the finished stages of one adaptation lie; `origin` as `origin_of` gives it."""

    folder: Path
    origin: str

    def file(self, name: str) -> Path:
        """Where the finished stage `name` lies."""
        return self.folder / f"{name}.safetensors"

    def state_file(self, name: str) -> Path:
        """Where the training of stage `name` keeps its state until it is finished."""
        return self.folder / f"{name}.state.safetensors"

    def finished(self, name: str) -> bool:
        """Whether there is such a stage."""
        return self.file(name).exists()

    def save(
        self, name: str, tensors: dict[str, Tensor], start: str | None, about: Any = None
    ) -> None:
        """Write stage `name`, which began with the finished stage `start`; `about` is JSON."""
        came_from = {"stage": start, "sha256": sha256(self.file(start))} if start else None
        record = {"kind": "stage", "stage": name, "origin": self.origin, "start": came_from}
        save_tensors(self.file(name), tensors, record | {"about": about})
        self.state_file(name).unlink(missing_ok=True)

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and description of stage `name`.

        Raises ArtefactError, also for a stage of another teacher or hardware.
        """
        tensors, about = load_stage(self.file(name), self.origin)
        if about.get("stage") != name:
            found = shown(about.get("stage"))
            raise ArtefactError(f"{self.file(name)}: holds stage {found}; remove it")
        return tensors, about

    def check_start(self, name: str, start: str | None) -> None:
        """Raise ArtefactError unless stage `name` began with stage `start` as that is now."""
        came_from = self.load(name)[1].get("start")
        wanted = {"stage": start, "sha256": sha256(self.file(start))} if start else None
        if came_from != wanted:
            raise ArtefactError(
                f"{self.file(name)}: began with {_start(came_from)}, not with {_start(wanted)} as "
                f"it is now; remove it to run {name} again"
            )


def _start(came_from: Any) -> str:
    """What a stage began with, as a message says it."""
    if not isinstance(came_from, dict):
        return "nothing"
    return f"{readable(came_from.get('stage'))} {readable(str(came_from.get('sha256'))[:8])}"
