"""Train the teacher: a small GPT-2 with softmax attention, on public-domain text.

AdamW from random weights, or with `--start` on from another teacher; `--muon-rate` gives matrices
to Muon. Progress is saved in build/teacher; Ctrl-C saves too, and the same command continues.
"""

import argparse
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.arguments import integer, natural, number, seed_number
from common.errors import run_command
from common.files import sha256, write_json
from common.provenance import provenance
from ml.checkpoint import check_tokens, load_tensors, save_tensors
from ml.evaluate.perplexity import mean_loss, texts_of
from ml.models.shipped import PACKAGES, TEACHER
from ml.small.model import LanguageModel, ModelConfig, next_token_loss
from ml.small.shipped import about, digest, load_teacher
from ml.train import corpus, tokenizer
from ml.train.loop import Run, Settings, fit, sample_batch, write_log

VALIDATION_TEXTS = 128


def load_tokens(cache: Path) -> dict[str, Tensor]:
    """Token ids of every split, from the cached corpus and the shipped tokenizer; cached, too."""
    text, path = corpus.load(cache), cache / "tokens.safetensors"
    origin = {"corpus_sha256": text.digest(), "tokenizer_sha256": sha256(tokenizer.TOKENIZER_FILE)}
    if path.exists():
        found, described = load_tensors(path)
        if described == origin:
            check_tokens(found, vars(text), path, tokenizer.VOCABULARY)
            return found
    bpe = tokenizer.load()
    parts = {name: tokenizer.encode(bpe, part) for name, part in vars(text).items()}
    tokens = {name: torch.from_numpy(ids.astype(np.int32)) for name, ids in parts.items()}
    save_tensors(path, tokens, origin)
    return tokens


def train(
    model: LanguageModel,
    tokens: dict[str, Tensor],
    settings: Settings,
    folder: Path,
    start: dict[str, Any] | None = None,
) -> Run:
    """Train `model`, or continue what `folder` holds; `start` is what the model began as.

    Raises Interrupted on Ctrl-C.
    """
    context = model.config.context
    run = Run(model, settings, folder / "state.safetensors", {"start": start})
    if run.resume():
        print(f"continue at step {run.progress.step} of {settings.steps}", flush=True)
    texts = texts_of(tokens["validation"], context, VALIDATION_TEXTS)

    def loss_of(ids: Tensor, _step: int) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(ids[:, :-1])
        return next_token_loss(logits.float(), ids[:, 1:])

    def report(record: dict[str, Any]) -> None:
        if "validation_loss" not in record:
            return
        seen = record["step"] * settings.batch * context
        rate = seen / max(record["seconds"], 1e-9)
        write_log(folder / "log.jsonl", record | {"tokens": seen})
        print(
            f"step {record['step']:6d}/{settings.steps}  tokens {seen / 1e6:6.2f} M"
            f"  train {record.get('train_loss', math.nan):.4f}"
            f"  validation {record['validation_loss']:.4f}"
            f"  {rate:7.0f} tokens/s",
            flush=True,
        )

    fit(
        run,
        loss_of,
        lambda step: sample_batch(tokens["train"], context, settings, step),
        lambda: mean_loss(model, texts),
        report,
    )
    return run


def export(run: Run, model: LanguageModel, corpus_digest: str, out: Path, folder: Path) -> None:
    """Write the best weights in half precision, and run.json that says how they came about."""
    start = run.identity["start"]
    record = {
        "model": asdict(model.config),
        "settings": asdict(run.settings),
        "progress": run.progress.model_dump(),
        "tokens_seen": (start["run"]["tokens_seen"] if start else 0)
        + run.progress.step * run.settings.batch * model.config.context,
        "start": start,
        "corpus_sha256": corpus_digest,
        **provenance(PACKAGES),
    }
    half = {name: tensor.half() for name, tensor in model.state_dict().items()}
    save_tensors(out, half, {"kind": "teacher", "run": record})
    write_json(folder / "run.json", record)
    print(f"wrote {out}")


def main(argv: list[str] | None = None) -> int:
    """Command line of the teacher's training."""
    parser = argparse.ArgumentParser(prog="ml.small.train", description=__doc__)
    parser.add_argument("--steps", type=integer, default=3000, help="optimiser steps")
    parser.add_argument("--batch", type=integer, default=16, help="texts of 256 tokens per step")
    parser.add_argument("--learning-rate", type=number(), default=2e-3)
    parser.add_argument(
        "--muon-rate", type=number(), help="of matrices, by Muon (AdamW, as the rest)"
    )
    parser.add_argument(
        "--decay", type=number(), default=0.3, help="share of the steps, at the end"
    )
    parser.add_argument("--start", type=Path, help="teacher to go on from (random weights)")
    parser.add_argument("--seed", type=seed_number, default=1)
    parser.add_argument("--threads", type=natural(0, 1024), default=0, help="0: as torch chooses")
    parser.add_argument("--cache", type=Path, default=corpus.CACHE, help="cached text")
    parser.add_argument("--folder", type=Path, default=Path("build/teacher"), help="run state")
    parser.add_argument("--out", type=Path, default=TEACHER, help="checkpoint to write")
    options = parser.parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    settings = Settings(
        steps=options.steps,
        batch=options.batch,
        learning_rate=options.learning_rate,
        muon_rate=options.muon_rate,
        decay_fraction=options.decay,
        seed=options.seed,
    )
    tokens, start = load_tokens(options.cache), None
    if options.start:
        model = load_teacher(options.start).requires_grad_(True)
        start = {"sha256": digest(options.start), "kind": "teacher", "run": about(options.start)}
    else:
        generator = torch.Generator().manual_seed(settings.seed)
        model = LanguageModel(ModelConfig()).initialise(generator)
    run = train(model, tokens, settings, options.folder, start)
    export(run, model, corpus.load(options.cache).digest(), options.out, options.folder)
    return 0


if __name__ == "__main__":
    run_command(main, resumable=True)
