"""Folders as the commands meet them: refused in one line, with exit status 2."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, Qwen2Config

from common.errors import ArtefactError, run_command
from ml.adapt import command as adapt
from ml.evaluate import golden
from ml.models import convert, delta
from ml.models.folders import load_base, load_tokenizer
from tests.ml import tiny

UP, QUERY = "model.layers.1.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Folders `base` and `converted`, text.txt, hardware.json."""
    folder = tmp_path_factory.mktemp("written")
    tiny.write_tiny(folder)
    convert(load_base(folder / "base"), tiny.tiny_spec()).save_pretrained(folder / "converted")
    tiny.tiny_tokenizer().save_pretrained(folder / "converted")
    return folder


@pytest.fixture
def folders(written, tmp_path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(written, tmp_path / "folders")


def edit(file: str, **entries: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        tree = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(tree | entries))

    return change


def without(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        tensors.pop(name)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return change


def not_finite(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        tensors[name][0, 0] = torch.nan
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return change


def token(id: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        tree = json.loads((folder / "tokenizer.json").read_text())
        tree["model"]["vocab"]["a"] = id
        (folder / "tokenizer.json").write_text(json.dumps(tree))

    return change


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "a tensor missing": (without(UP), f"tensor {UP} is missing"),
    "NaN": (not_finite(QUERY), f"tensor {QUERY} holds a value that is not finite in float32"),
    "a string for a number": (edit("config.json", hidden_size="128"), "hidden_size = '128': Input"),
    "no heads": (edit("config.json", num_attention_heads=0), "num_attention_heads = 0: Input"),
    "quantised": (
        edit("config.json", quantization_config={"bits": 4}),
        "quantised weights are not",
    ),
    "code": (edit("config.json", auto_map={"AutoConfig": "evil.C"}), "which is never run"),
    "another type": (edit("config.json", model_type="bert"), "model_type is 'bert', must be "),
    "no tokenizer": (no_tokenizer, "has no tokenizer: tokenizer.json, or vocab.json with merges"),
    "a token beyond": (
        token(500),
        "has token 'a' with id 500, but the model's vocabulary ends at 63",
    ),
    "a negative token": (token(-1), "cannot be read as a tokenizer: "),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("command", ["adapt", "golden", "delta"])
def test_bad_folders_end_a_command_in_one_line(command, kind, folders, capsys):
    spoil, message = BAD[kind]
    if command == "delta" and "token" in kind:
        return  # it reads none
    spoil(folders / ("converted" if command == "golden" else "base"))
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        run_command(lambda: COMMANDS[command](folders))
    assert caught.value.code == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line


COMMANDS: dict[str, Callable[[Path], int]] = {
    "adapt": lambda f: adapt.main(
        [
            *(f"--base={f / 'base'}", f"--text={f / 'text.txt'}", f"--spec={f / 'hardware.json'}"),
            *(f"--out={f / 'out'}", f"--cache={f}", "--context=32", "--tokens=192"),
        ]
    ),
    "golden": lambda f: golden.main(
        [f"--model={f / 'converted'}", f"--text={f / 'text.txt'}", f"--folder={f / 'out'}"]
    ),
    "delta": lambda f: delta.main(
        ["pack", str(f / "base"), str(f / "converted"), str(f / "delta")]
    ),
}


def test_texts_longer_than_the_positions_are_refused(folders, capsys):
    edit("config.json", max_position_embeddings=16)(folders / "base")
    with pytest.raises(SystemExit) as caught:
        run_command(lambda: COMMANDS["adapt"](folders))
    assert caught.value.code == 2
    assert "context is 32, must be at most 16, which is where" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["adapt", "golden"])
def test_values_that_overflow_on_the_way_are_named_by_their_layer(command, folders, capsys):
    """Every weight is finite, what comes of them is not."""
    folder, factor = folders / "base", 1e30
    tensors = load_file(folder / "model.safetensors")
    if command == "golden":  # which is in double precision
        folder, factor = folders / "converted", 1e200
        edit("config.json", dtype="float64")(folder)
        tensors = {n: t.double() for n, t in load_file(folder / "model.safetensors").items()}
    for name in (UP, UP.replace("up_proj", "down_proj")):
        tensors[name] *= factor
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(SystemExit) as caught:
        run_command(lambda: COMMANDS[command](folders))
    assert caught.value.code == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert "error: model.layers.1.mlp" in line and "its output is not finite" in line


def test_signals_that_never_vary_are_named_by_their_layer(folders, capsys):
    tensors = load_file(folders / "base" / "model.safetensors")
    tensors[QUERY].zero_()
    save_file(tensors, folders / "base" / "model.safetensors", {"format": "pt"})
    with pytest.raises(SystemExit) as caught:
        run_command(lambda: COMMANDS["adapt"](folders))
    assert caught.value.code == 2
    assert "error: model.layers.0.self_attn: queries, keys or" in capsys.readouterr().err


def test_a_hubs_model_is_fetched_as_a_folder(written, monkeypatch):
    asked = {}

    def fetch(name: str, **options: Any) -> str:
        asked.update(options, name=name)
        return str(written / "base")

    monkeypatch.setattr("ml.models.folders.snapshot_download", fetch)
    assert torch.equal(
        load_base("owner/model", hub=True).lm_head.weight,
        load_base(written / "base").lm_head.weight,
    )
    assert asked["name"] == "owner/model" and not any("bin" in p for p in asked["allow_patterns"])


@pytest.mark.parametrize("name", ["Qwen2Tokenizer", "BertTokenizer", "LlamaTokenizer", "None"])
def test_the_tokenizer_is_what_its_file_says_whatever_class_is_named(name, tmp_path):
    """Transformers itself leaves spaces out of the text for these names."""
    tokenizer = tiny.tiny_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    Qwen2Config().save_pretrained(tmp_path)
    edit("tokenizer_config.json", tokenizer_class=name)(tmp_path)
    text = "the cat ran, and\nthe dog sat."
    assert load_tokenizer(tmp_path)(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert (
        AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"] != tokenizer(text)["input_ids"]
    )


def write_older(folder: Path) -> None:
    """A tokenizer in the files that GPT-2 came with."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {c: i for i, c in enumerate([*sorted(alphabet), "th", "<|endoftext|>"])}
    Tokenizer(models.BPE(vocabulary, [("t", "h")])).model.save(str(folder))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')


def test_a_tokenizer_of_vocabulary_and_merges_is_read(tmp_path):
    write_older(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert len(tokenizer("the")["input_ids"]) == 2
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(
        ArtefactError, match=r"has no tokenizer: tokenizer\.json, or vocab\.json wi"
    ):
        load_tokenizer(tmp_path)


def test_a_model_without_a_tokenizer_has_not_an_empty_one(tmp_path):
    Qwen2Config().save_pretrained(tmp_path)
    assert len(AutoTokenizer.from_pretrained(tmp_path)("the cat")["input_ids"]) == 0
    with pytest.raises(ArtefactError, match=r"has no tokenizer: "):
        load_tokenizer(tmp_path)


WORDS = '{"model": {"type": "WordLevel", "vocab": {%s}, "unk_token": "?"}, "added_tokens": []}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("[]", r"needs an object, has \[\]$"),
        ("{}", "cannot be read as a tokenizer"),
        ('{"model": {"type": "WordLevel", "vocab": {"a": 0, "a": 1}}}', "this key stands twice$"),
        (
            WORDS % '"a": 7, "b": 7, "?": 1',
            r"tokens '[ab]' and '[ab]' both have id 7$",
        ),
        (WORDS % "", "has no entries$"),
    ],
)
def test_a_damaged_tokenizer_is_refused(content, message, tmp_path):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ArtefactError, match=message):
        load_tokenizer(tmp_path)
