"""The folder of SmolLM2: made once, and nothing else is lost for it."""

import json

import pytest

from common.errors import ArtefactError
from ml.models import smollm2


def test_a_folder_of_this_package_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(smollm2, "gguf_file", lambda: pytest.fail("made again"))
    (tmp_path / smollm2.SOURCE).write_text(json.dumps({"sha256": smollm2.GGUF_SHA256}))
    assert smollm2.prepare(tmp_path) == tmp_path


@pytest.mark.parametrize("name", ["model.safetensors", "notes.txt"])
def test_a_folder_of_something_else_is_left_alone(name, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ArtefactError, match=rf"^{tmp_path}: holds something else; remove it or"):
        smollm2.prepare(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("content", ["{", "[]", '{"sha256": 1, "sha256": 2}'])
def test_a_damaged_source_is_refused(content, tmp_path):
    (tmp_path / smollm2.SOURCE).write_text(content)
    with pytest.raises(ArtefactError, match=r"source\.json: "):
        smollm2.prepare(tmp_path)
