"""Train a small GPT-2 with softmax attention on public-domain text: the teacher that ships.

AdamW from random weights, or with `--start` on from another teacher; `--muon-rate` gives matrices
to Muon. Progress is saved in build/teacher; Ctrl-C saves too, and the same command continues. What
is written is a folder that transformers reads, weights in half precision, and run.json.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerFast

from common.arguments import integer, natural, number, seed_number
from common.files import read_json, sha256, write_json
from common.provenance import provenance
from ml.evaluate.perplexity import logits_of, next_token_loss, texts_of
from ml.models.network import Network, mean_loss
from ml.models.shipped import PACKAGES, RUN, TEACHER, WEIGHTS, load_teacher
from ml.train import corpus, tokenizer
from ml.train.loop import Run, Settings, fit, sample_batch, write_log
from ml.train.own_text import CORPUS, Text, encode, read

VALIDATION_TEXTS = 128
SIZES: dict[str, Any] = {
    "vocab_size": tokenizer.VOCABULARY,
    "n_positions": 256,
    "n_embd": 256,
    "n_layer": 4,
    "n_head": 4,
}


def new_model(seed: int, **sizes: int) -> GPT2LMHeadModel:
    """A GPT-2 with random weights, which depend on the seed alone. sizes: as in GPT2Config."""
    dropouts = dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0)
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    given: dict[str, Any] = SIZES | sizes | dropouts | ends
    config = GPT2Config(**given, activation_function="gelu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT2LMHeadModel(config)


def own_tokenizer() -> PreTrainedTokenizerFast:
    """The shipped tokenizer as transformers has it."""
    end = tokenizer.END_OF_TEXT
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.load(),
        bos_token=end,
        eos_token=end,
        model_max_length=SIZES["n_positions"],
        clean_up_tokenization_spaces=False,
    )


def train(
    model: PreTrainedModel,
    text: Text,
    settings: Settings,
    folder: Path,
    start: dict[str, Any] | None = None,
) -> Run:
    """Train `model`, or continue what `folder` holds; `start` is what the model began as.

    Raises Interrupted on Ctrl-C.
    """
    context = model.config.max_position_embeddings
    run = Run(model, settings, folder / "state.safetensors", {"start": start})
    if run.resume():
        print(f"continue at step {run.progress.step} of {settings.steps}", flush=True)
    texts = texts_of(text.validation, context, VALIDATION_TEXTS)

    def loss_of(ids: Tensor, _step: int) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits = logits_of(model, ids[:, :-1])
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
        lambda step: sample_batch(text.train, context, settings, step),
        lambda: mean_loss(Network(model, torch.float32), texts),
        report,
    )
    return run


def export(run: Run, model: PreTrainedModel, corpus_digest: str, out: Path, folder: Path) -> None:
    """Write the best weights in half precision, and run.json that says how they came about."""
    start, config = run.identity["start"], model.config
    context = config.max_position_embeddings
    record = {
        "model": {
            "vocabulary": config.vocab_size,
            "context": context,
            "layers": config.num_hidden_layers,
            "heads": config.num_attention_heads,
            "width": config.hidden_size,
        },
        "settings": vars(run.settings),
        "progress": run.progress.model_dump(),
        "tokens_seen": (start["run"]["tokens_seen"] if start else 0)
        + run.progress.step * run.settings.batch * context,
        "start": start,
        "corpus_sha256": corpus_digest,
        **provenance((*PACKAGES, "transformers")),
    }
    model.half().save_pretrained(out)
    own_tokenizer().save_pretrained(out)
    write_json(out / RUN, record)
    write_json(folder / RUN, record)
    print(f"wrote {out}")


def main(argv: list[str] | None = None) -> int:
    """Command line of the teacher's training."""
    options = _parser().parse_args(argv)
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
    source, start = read(CORPUS, options.cache), None
    text = encode(source, own_tokenizer(), options.cache)
    if options.start:
        model = load_teacher(options.start)
        start = {
            "sha256": sha256(options.start / WEIGHTS),
            "run": read_json(options.start / RUN),
        }
    else:
        model = new_model(settings.seed)
    run = train(model, text, settings, options.folder, start)
    export(run, model, source.digest(), options.out, options.folder)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ml.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--steps", type=integer, default=3000, help="optimiser steps (3000)")
    add("--batch", type=integer, default=16, help="texts of 256 tokens per step (16)")
    add("--learning-rate", type=number(), default=2e-3, help="(2e-3)")
    add("--muon-rate", type=number(), help="of matrices, by Muon (AdamW, as the rest)")
    add("--decay", type=number(), default=0.3, help="share of the steps, at the end (0.3)")
    add("--start", type=Path, metavar="FOLDER", help="teacher to go on from (random weights)")
    add("--seed", type=seed_number, default=1)
    add("--threads", type=natural(0, 1024), default=0, help="0: as torch chooses")
    add("--cache", type=Path, default=corpus.CACHE, help="cached text")
    add("--folder", type=Path, default=Path("build/teacher"), help="run state")
    add("--out", type=Path, default=TEACHER, help="folder to write (that of the shipped teacher)")
    return parser
