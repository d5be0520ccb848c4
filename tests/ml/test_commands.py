"""The commands: help, and errors of one line."""

import importlib

import pytest

from common.errors import run_command
from ml.models.shipped import ADAPTED

COMMANDS = (
    *("train.corpus", "train.tokenizer", "train.heldout", "train.prose", "train"),
    *("adapt", "evaluate.golden", "evaluate", "evaluate.sensitivity"),
    "attention.bench",
)


def module_of(name):
    own = f"{name}.command" if name in ("adapt", "evaluate", "train") else name
    return importlib.import_module(f"ml.{own}")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_the_command(name, capsys):
    with pytest.raises(SystemExit) as caught:
        module_of(name).main(["--help"])
    assert caught.value.code == 0
    assert f"usage: ml.{name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("evaluate.golden", ["--model", "none"], "none: no such model; give shipped, smollm2, or"),
        ("evaluate", ["--teacher", "none"], "none: no such folder (nothing is downloaded"),
        ("evaluate.mixed", ["--stage", "none.safetensors"], "no such file; `make adapt` leaves it"),
        ("evaluate", ["--texts", "0"], "texts is 0, must be above 0"),
        ("evaluate", ["--card", "--model", "smollm2"], "card is of the shipped model"),
        ("evaluate", ["--text", "none"], "none: no such folder; give one with *.txt files"),
        ("evaluate.sensitivity", ["--only", "none"], "only is 'none', must be of 'window', "),
        ("evaluate.sensitivity", ["--model", "none"], "none: no such model; give shipped, smollm2"),
        ("evaluate.sensitivity", ["--spec", "none"], "none: no such file, and no preset: leroux"),
        ("adapt", ["--base", "none", "--out", "x"], "none: no such model; give shipped, smollm2"),
        ("adapt", ["--control", "--tokens=-1", "--out", "x"], "tokens is -1 for layerwise"),
        (
            "attention.bench",
            ["--tokens", "100"],
            "tokens is 100, must be a multiple of 64 up to 1024",
        ),
        ("attention.bench", ["--heads", "0"], "heads is 0, must be above 0"),
        ("train", ["--batch", "0"], "batch is 0, must be above 0"),
        ("evaluate", ["--teacher", str(ADAPTED)], "it is converted already"),
    ],
)
def test_bad_input_is_one_line(name, arguments, message, capsys):
    module = module_of(name)
    with pytest.raises(SystemExit) as caught:
        run_command(lambda: module.main(arguments))
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
