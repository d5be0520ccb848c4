"""The GPT in one file trains, writes, and attends as the hardware does."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import torch

from analog_models.physics import causal_attention
from analog_models.spec import load_preset

FILE = Path(__file__).parents[2] / "examples" / "gpt.py"


def run(*options):
    command = [sys.executable, FILE, *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


def test_trains_on_the_text_that_ships_and_writes():
    done = run("--steps", 20, "--tokens", 10)
    assert done.returncode == 0, done.stderr
    losses = [float(x) for x in re.findall(r"step +\d+: loss (\S+)", done.stdout)]
    assert losses[0] > 4 and losses[-1] < 3.5
    (held,) = re.findall(r"held-out loss (\S+)", done.stdout)
    assert float(held) < 3.5


def test_takes_a_text_and_softmax(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be, that is the question\n" * 40, "utf-8")
    done = run(text, "--steps", 2, "--tokens", 5, "--softmax")
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()[-1]) <= set(text.read_text("utf-8"))


def test_a_text_that_is_too_short_is_one_line(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("short", "utf-8")
    done = run(text)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"error: {text}: 5 characters, needs 640 or more"]


def test_its_attention_is_the_hardwares_in_training_and_after():
    attention = runpy.run_path(str(FILE))["GainCellAttention"](load_preset())
    torch.manual_seed(1)
    q, k, v = torch.randn(3, 2, 2, 70, 64)
    codes = attention.q(q), attention.k(k), attention.v(v)
    exact = causal_attention(load_preset(), *(code.double() for code in codes))
    attention.eval()
    torch.testing.assert_close(attention(q, k, v), attention.gain * exact.float())
    attention.train()
    share = (attention(q, k, v) != attention.gain * exact.float()).double().mean()
    assert share < 0.02  # single precision: a count on the border may go either way
