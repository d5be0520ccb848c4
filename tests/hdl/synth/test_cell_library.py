from dataclasses import replace

import pytest

from analog_models.errors import ToolError
from hdl.synth.cell_library import LIBRARIES


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_library_is_named(tmp_path, name):
    library = replace(LIBRARIES[name], paths=(tmp_path / "gone.lib",))
    with pytest.raises(ToolError) as caught:
        library.liberty()
    assert f"{name} is missing ({tmp_path}/gone.lib, from " in str(caught.value)
    assert f"`make synth LIB={name}` installs it" in str(caught.value)


@pytest.mark.parametrize("name", LIBRARIES)
def test_full_adders_and_clock_gates_have_cells(name):
    text = LIBRARIES[name].techmap.read_text()
    assert '(* techmap_celltype = "$fa" *)' in text
    assert '(* techmap_celltype = "clock_gate" *)' in text
