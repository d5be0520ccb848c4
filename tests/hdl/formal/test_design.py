import pytest

import hdl.window
from hdl.formal.design import Design, Patch, PatchError

WRAPS_LATE = Patch("window", "self.slot == last", "self.slot == slots - 1", "wraps late")


def test_the_text_to_replace_must_occur_exactly_once():
    for old, times in (("no such text", 0), ("self.slot", 4)):
        patch = Patch("window", old, "", "nothing")
        message = rf"variant \(nothing\): hdl/window.py holds '{old}' {times} times, needs exactly"
        with pytest.raises(PatchError, match=message):
            Design(patch)


def test_an_unknown_module_is_named():
    with pytest.raises(PatchError, match=r"there is no module hdl\.nowhere"):
        Design(Patch("nowhere", "a", "b", "nothing"))


def test_a_patch_reaches_the_modules_that_import_the_component():
    design = Design(WRAPS_LATE)
    assert design.is_broken
    assert design.control.WindowPointer is design.window.WindowPointer
    assert design.head.HeadControl is design.control.HeadControl


def test_a_patch_stays_in_its_design():
    broken, real = Design(WRAPS_LATE), Design()
    assert not real.is_broken
    classes = {broken.window.WindowPointer, real.window.WindowPointer, hdl.window.WindowPointer}
    assert len(classes) == 3


def test_a_failing_import_inside_a_design_is_not_hidden():
    with pytest.raises(ImportError, match="nowhere"):
        Design(Patch("window", "import In, Out", "import nowhere", ""))
