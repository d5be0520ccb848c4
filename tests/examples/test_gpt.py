"""The GPT in one file trains, writes, and attends as the hardware does."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from analog_models.attend import causal_attention
from analog_models.spec import load_preset
from ml.errors import CorpusError

FILE = Path(__file__).parents[2] / "examples" / "gpt.py"
GPT = runpy.run_path(str(FILE))


def run(*options):
    command = [sys.executable, FILE, *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


def test_trains_on_the_text_that_ships_and_writes():
    done = run("--steps", 8, "--tokens", 5)
    assert done.returncode == 0, done.stderr
    losses = [float(x) for x in re.findall(r"step +\d+: loss (\S+)", done.stdout)]
    assert losses[0] > 4 and losses[-1] < losses[0] - 0.3
    (held,) = re.findall(r"held-out loss (\S+)", done.stdout)
    assert float(held) < losses[0] - 0.3


def test_takes_a_text_and_softmax(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be, that is the question\n" * 40, "utf-8")
    GPT["main"]([str(text), "--steps", "2", "--tokens", "5", "--softmax"])
    assert set(capsys.readouterr().out.splitlines()[-1]) <= set(text.read_text("utf-8"))


def test_a_text_that_is_too_short_is_one_line(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("short", "utf-8")
    with pytest.raises(CorpusError, match=r"text\.txt: 5 characters, needs 640 or more"):
        GPT["main"]([str(text)])


def test_its_attention_is_the_hardwares_in_training_and_after():
    attention = GPT["GainCellAttention"](load_preset())
    torch.manual_seed(1)
    q, k, v = torch.randn(3, 2, 2, 70, 64)
    codes = attention.q(q), attention.k(k), attention.v(v)
    exact = causal_attention(load_preset(), *(code.double() for code in codes))
    attention.eval()
    torch.testing.assert_close(attention(q, k, v), attention.gain * exact.float())
    attention.train()
    share = (attention(q, k, v) != attention.gain * exact.float()).double().mean()
    assert share < 0.02  # single precision: a count on the border may go either way
