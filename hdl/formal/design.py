"""The components under proof, as they are or with one line of them broken on purpose.

A broken variant is the source of the real component with one piece of text replaced, so that it
stays as close to the real one as a slip of the pen, and follows it when it changes.
"""

import builtins
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from common.errors import GaincellError

__all__ = ["Design", "Patch", "PatchError"]

PACKAGE = "hdl."


class PatchError(GaincellError):
    """A broken variant whose text to replace is not in the source exactly once."""


@dataclass(frozen=True)
class Patch:
    """Replaces `old`, which occurs once in the source of `module`, by `new`.

    `module` is named without its package: `window` is `hdl/window.py`. `breaks` says in words what
    the change does.
    """

    module: str
    old: str
    new: str
    breaks: str

    def apply(self, source: str) -> str:
        """The source with the text replaced. Raises `PatchError` unless `old` occurs once."""
        found = source.count(self.old)
        if found != 1:
            raise PatchError(
                f"broken variant ({self.breaks}): hdl/{self.module}.py holds {self.old!r} "
                f"{found} times, needs exactly once; adapt the patch to the component"
            )
        return source.replace(self.old, self.new)


class Design:
    """Loads modules of `hdl`, apart from those that `import` gives, so that a patch stays here.

    `design.window` is the module `hdl.window`, and the modules that it imports from `hdl` are this
    design's too.
    """

    def __init__(self, patch: Patch | None = None) -> None:
        self._patch = patch
        self._modules: dict[str, ModuleType] = {}
        if patch is not None:
            self._load(PACKAGE + patch.module)  # an outdated patch is told at once

    @property
    def is_broken(self) -> bool:
        """Whether this is a broken variant."""
        return self._patch is not None

    def __getattr__(self, name: str) -> ModuleType:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._load(PACKAGE + name)

    def _load(self, name: str) -> ModuleType:
        if name in self._modules:
            return self._modules[name]
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise PatchError(f"there is no module {name} to prove something of")
        source = Path(spec.origin).read_text("utf-8")
        if self._patch is not None and name == PACKAGE + self._patch.module:
            source = self._patch.apply(source)
        module = ModuleType(name)
        module.__file__ = spec.origin
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": self._import}
        exec(compile(source, spec.origin, "exec"), vars(module))
        self._modules[name] = module
        return module

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """`__import__` for the modules of this design: `from hdl.x import y` asks here first."""
        if name.startswith(PACKAGE) and fromlist:
            return self._load(name)
        return builtins.__import__(name, globals, locals, fromlist or (), level)
