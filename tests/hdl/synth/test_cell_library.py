from dataclasses import replace

import pytest

from common.errors import ToolError
from hdl.synth.cell_library import LIBRARIES


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_library_is_named(tmp_path, name):
    library = replace(LIBRARIES[name], paths=(tmp_path / "gone.lib",))
    with pytest.raises(ToolError) as caught:
        library.liberty()
    assert f"{name} is missing ({tmp_path}/gone.lib, from " in str(caught.value)
    assert f"`make synth LIB={name}` installs it" in str(caught.value)


LIBERTY = "library(small) {\n  cell (BUFX4) {\n    area : 1;\n  }\n}\n"


@pytest.mark.parametrize("comment", ["", "/* {\n * End of file\n */\n"])
def test_a_whole_library_is_taken(tmp_path, comment):
    path = tmp_path / "small.lib"
    path.write_text(comment + LIBERTY + comment)
    assert replace(LIBRARIES["osu018"], paths=(path,)).liberty() == path


@pytest.mark.parametrize(
    "content",
    ["", "{}", LIBERTY[:-4], LIBERTY + "x", LIBERTY.replace("BUFX4", "INVX1"), LIBERTY[20:]],
)
def test_a_library_that_is_not_whole_is_refused(tmp_path, content):
    path = tmp_path / "small.lib"
    path.write_text(content)
    with pytest.raises(ToolError, match=r"small\.lib: no whole Liberty file with a cell BUFX4"):
        replace(LIBRARIES["osu018"], paths=(path,)).liberty()


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(ToolError, match="is a folder, needs a file"):
        replace(LIBRARIES["osu018"], paths=(tmp_path,)).liberty()


@pytest.mark.parametrize("name", LIBRARIES)
def test_full_adders_and_clock_gates_have_cells(name):
    text = LIBRARIES[name].techmap.read_text()
    assert '(* techmap_celltype = "$fa" *)' in text
    assert '(* techmap_celltype = "clock_gate" *)' in text
