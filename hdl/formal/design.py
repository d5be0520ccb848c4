"""The components under proof, as they are or with one line of them broken on purpose.

A broken variant is the source of the real component with one piece of text replaced, so that it
stays as close to the real one as a slip of the pen, and follows it when it changes. Python's own
loader of sources compiles and runs it, as for any module.
"""

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import SourceLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
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


class _PatchedSource(SourceLoader):
    """Loads the source in a file with a text replaced. Nothing compiled is read or kept."""

    def __init__(self, file: str, patch: Patch | None) -> None:
        self._file = file
        self._patch = patch

    def get_filename(self, fullname: str) -> str:
        return self._file

    def get_data(self, path: str) -> bytes:  # type: ignore[override]
        source = Path(path).read_text("utf-8")
        return (self._patch.apply(source) if self._patch else source).encode()


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
        found = find_spec(name)
        if found is None or found.origin is None:
            raise PatchError(f"there is no module {name} to prove something of")
        is_patched = self._patch is not None and name == PACKAGE + self._patch.module
        loader = _PatchedSource(found.origin, self._patch if is_patched else None)
        spec = spec_from_loader(name, loader)
        assert spec is not None  # of a loader it always is one
        module = module_from_spec(spec)
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": self._import}
        loader.exec_module(module)
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
