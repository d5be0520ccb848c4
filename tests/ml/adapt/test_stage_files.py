"""Files of finished stages: of this teacher and this hardware, or refused."""

import pytest
import torch

from common.errors import ArtefactError
from ml.adapt.stage_files import StageFolder, load_stage, origin_of
from ml.checkpoint import save_tensors


@pytest.fixture
def stages(tmp_path, tiny_spec) -> StageFolder:
    folder = StageFolder(tmp_path, origin_of("0" * 64, tiny_spec))
    folder.save("init", {"a": torch.zeros(2)}, None, about=1.5)
    folder.save("linear", {"a": torch.ones(2)}, "init")
    return folder


def test_a_stage_comes_back_with_what_it_began_with(stages):
    tensors, about = stages.load("linear")
    assert torch.equal(tensors["a"], torch.ones(2)) and stages.load("init")[1]["about"] == 1.5
    assert about["start"]["stage"] == "init"
    stages.check_start("linear", "init")
    stages.check_start("init", None)


def test_a_stage_of_another_origin_is_refused(stages, tiny_spec):
    other = origin_of("1" * 64, tiny_spec)
    message = r"init\.safetensors: of another teacher or hardware; remove .* or choose another"
    with pytest.raises(ArtefactError, match=message):
        load_stage(stages.file("init"), other)
    with pytest.raises(ArtefactError, match=message):
        StageFolder(stages.folder, other).load("init")
    assert load_stage(stages.file("init"), None)[0].keys() == {"a"}


def test_another_stage_or_file_in_its_place_is_refused(stages):
    stages.file("linear").write_bytes(stages.file("init").read_bytes())
    with pytest.raises(ArtefactError, match=r"linear\.safetensors: holds stage 'init'; remove it$"):
        stages.load("linear")
    save_tensors(stages.file("init"), {"a": torch.zeros(2)}, {"kind": "teacher"})
    with pytest.raises(ArtefactError, match=r"init\.safetensors: kind is 'teacher', expected 'sta"):
        stages.load("init")


@pytest.mark.parametrize("start", [3, [], {}, {"stage": None, "sha256": 7}, "x" * 1000])
def test_a_start_that_is_none_is_refused(stages, start):
    record = {"kind": "stage", "stage": "linear", "origin": stages.origin, "start": start}
    save_tensors(stages.file("linear"), {"a": torch.zeros(2)}, record)
    with pytest.raises(
        ArtefactError, match=r"began with .*, not with init [0-9a-f]{8} as it is now"
    ):
        stages.check_start("linear", "init")
