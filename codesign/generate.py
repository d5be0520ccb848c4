"""Write text with a language model, every attention head of it co-simulated.

    python -m codesign.generate [--model NAME] [--prompt TEXT] [--tokens N] [--temperature X]
                                [--seed N] [--sim NAME] [--schedule NAME] [--stalls N]
                                [--imperfections NAME] [--device N]

The model is the shipped one, SmolLM2, or the folder of an adapted Hugging Face model. Each key and
value head of each layer is Verilog in a simulator of its own, coupled to the analog model of its
arrays; the query heads that share it ask it one after the other. Token by token the model computes
codes, the simulators answer, and the next token comes from their counts. Then the text and all
codes are compared with those of the torch and of the numpy model. With --imperfections the
reference is numpy with the same hardware and the same noise, and the text and perplexity without
them are shown, too. After Ctrl-C the same command goes on with the text as far as it is.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve the simulators

import numpy as np
from transformers.utils.logging import disable_progress_bar

from analog_models.spec import HardwareSpec, overlaid
from codesign.checks import Check, against_all_at_once, against_heads
from codesign.closed_loop import ClosedLoop, Sampler, generate
from codesign.damage import damage
from codesign.growing_text import PROMPT_TOKENS, SOURCE, Text, prompted
from codesign.heads import Feed, GoldenHeads, SimulatedHeads
from codesign.screen import Screen
from common.arguments import number, utf_8
from common.errors import run_command
from common.files import write_json
from common.progress import ProgressLine
from common.provenance import provenance
from common.tables import table
from cosim.arguments import (
    add_back_pressure,
    add_imperfections,
    add_schedule,
    add_simulator,
    command_parser,
    natural,
)
from cosim.run.building import build
from cosim.run.compiled import Build
from ml.attention.heads import heads_of
from ml.evaluate.subject import MODEL_HELP, context_of, heldout_texts
from ml.models.delta import weights_sha256
from ml.models.families import GainCellModel
from ml.models.shipped import PACKAGES, SHIPPED, find_model

TEXTS = 16  # for the perplexity
LEAST_TEMPERATURE = 0.001  # that logits can be divided by
SETTINGS = ("model", "schedule", "stalls", "seed", "temperature", "imperfections", "device")


class Run(NamedTuple):
    """What a run is of: a model in double precision and its text, and how its heads are fed."""

    args: argparse.Namespace
    model: GainCellModel
    text: Text
    feed: Feed
    compiled: Build
    record: dict[str, Any]
    identity: str

    @property
    def sampler(self) -> Sampler:
        return Sampler(self.args.temperature, self.args.seed)


def main() -> int:
    """Command line: 0 if all is equal to the references, 1 if not, 2 on an error."""
    run = _prepared(_arguments())
    text, folder = run.text, run.args.build / "generate"
    try:
        loop, measured = _write(run)
    finally:
        path = folder / "run.json"
        made = {"asked_for": run.args.tokens, "ids": text.ids.tolist(), "seconds": text.seconds}
        write_json(path, text.result() | made | run.record)
        print(f"run:    {path}", file=sys.stderr)
    checks = _check(run, loop)
    result = text.result() | measured | run.record
    result["mismatches"] = sum(check.mismatches + check.tokens_differing for check in checks)
    result["references"] = [check.result() for check in checks]
    _print_report(result, checks, run.compiled)
    if not run.feed.spec.imperfections.off:
        result["damage"] = _damage(run)
    print(f"result: {write_json(folder / 'result.json', result)}")
    (folder / "text.json").unlink(missing_ok=True)  # nothing is left to go on with
    return 1 if result["mismatches"] else 0


def _prepared(args: argparse.Namespace) -> Run:
    """Find the model, the text and the simulation that a command names."""
    disable_progress_bar()  # of transformers, for loading
    model, bpe = find_model(args.model)
    weights = weights_sha256(model)
    model = model.eval().double()
    layers = heads_of(model)
    spec = _spec(model.config.spec, args)
    args.schedule = args.schedule or next(iter(spec.schedules))
    text = prompted(model, bpe, args.prompt, args.tokens)
    pairs, group = layers[0].kv_heads, layers[0].query_heads // layers[0].kv_heads
    feed = Feed(spec, len(layers), pairs, args.schedule, args.stalls, args.seed, group)
    compiled = build(spec, args.sim, say=True)
    record = {
        "spec": spec.name,
        **spec.hashes,
        "simulator": f"{args.sim} {compiled.simulator.version()}",
        **{name: getattr(args, name) for name in SETTINGS},
        "layers": feed.layers,
        "query_heads": pairs * group,
        "kv_heads": pairs,
        "weights_sha256": weights,
    }
    named = json.dumps([record, text.prompt.tolist()], sort_keys=True)
    identity = hashlib.sha256(named.encode()).hexdigest()[:16]
    record |= provenance((*PACKAGES, "transformers", "amaranth", "cocotb"))
    return Run(args, model, text, feed, compiled, record, identity)


def _write(run: Run) -> tuple[ClosedLoop, dict[str, Any]]:
    """Let the co-simulated model add tokens to the text; the loop, and what was measured of it."""
    text, feed, tokens = run.text, run.feed, run.args.tokens
    screen, simulators = Screen(), feed.layers * feed.heads
    total = (len(text.prompt) + tokens - 1) * simulators * feed.group
    path = run.args.build / "generate" / "text.json"
    known = text.known(path, run.identity, tokens)
    if known.added:
        print(f"{path}: going on after {len(known.added)} of {tokens} tokens", file=sys.stderr)
    begin = time.perf_counter()

    def tell(head_tokens: int) -> None:
        rate = head_tokens / (time.perf_counter() - begin)
        done = f"{len(text.added)}/{tokens} tokens"
        screen.state(f"{done}, {head_tokens}/{total} head-tokens, {rate:.0f}/s")

    line = ProgressLine()

    def started(number: int) -> None:
        seconds = f"{time.perf_counter() - begin:.0f} s"
        last = number == simulators
        line.show(f"{number} of {simulators} simulators started, {seconds}", last)

    with SimulatedHeads(run.compiled, feed, tell, started) as heads:
        started_s, begin = time.perf_counter() - begin, time.perf_counter()
        loop = ClosedLoop(run.model, heads)
        text.start()
        options = {"known": known.added, "at_once": not feed.spec.imperfections.noisy}
        with screen:
            screen.text(f"{text.result()['prompt']}|")
            for token in generate(loop.predict, text.prompt, tokens, run.sampler, **options):
                text.add(token, known, path)
                screen.text(text.fresh())
                text.keep(path, run.identity)
        measured = heads.measured()
    rate = measured["head_tokens"] / (time.perf_counter() - begin)
    each = np.diff(text.seconds)
    measured |= {"start_s": started_s, "head_tokens_per_second": rate}
    return loop, measured | {"seconds_per_token": float(np.median(each)) if len(each) else None}


def _check(run: Run, loop: ClosedLoop) -> list[Check]:
    """Compare text and codes with the references; torch has no noise of single tokens."""
    given = run.text.ids, len(run.text.prompt), loop.codes
    checks = []
    if run.feed.spec.imperfections.off:
        checks.append(against_all_at_once(run.model, *given, run.sampler))
    return [*checks, against_heads(run.model, GoldenHeads(run.feed), *given, run.sampler)]


def _damage(run: Run) -> dict[str, Any]:
    """Show what the imperfections do to the text and to perplexity; for the result file."""
    text = run.text
    texts = heldout_texts(run.model, text.bpe, context_of(run.model), TEXTS)
    found = damage(run.model, run.feed, text.ids, len(text.prompt), run.sampler, texts)
    ideal = text.words(found.ideal)
    since = "" if found.first is None else f", from token {found.first + 1} on"
    print(f"\nwithout imperfections: |{ideal}")
    print(f"\ntokens that imperfections change: {found.changed} of {run.args.tokens}{since}")
    print(
        f"perplexity on {found.tokens:,} held-out tokens: {found.ideal_perplexity:.2f} without, "
        f"{found.perplexity:.2f} with imperfections (x {found.ratio:.3f})"
    )
    return found.result() | {"ideal_text": ideal}


def _spec(spec: HardwareSpec, args: argparse.Namespace) -> HardwareSpec:
    """The specification of the model, with imperfections if there are to be some."""
    if not args.imperfections:
        return spec
    spec = overlaid(spec, args.imperfections)
    return spec.replace(imperfections__device_seed=spec.imperfections.device_seed + args.device)


def _print_report(result: dict[str, Any], checks: list[Check], compiled: Build) -> None:
    header = ["compared with", "tokens that differ", "codes", "codes that differ"]
    rows = [[c.reference, c.tokens_differing, f"{c.codes:,}", c.mismatches] for c in checks]
    print(f"\n{table(header, rows)}\n")
    between = result["cycles_between_tokens"]
    header = ["every head in", "head-tokens", "per second", "cycles/token", "between tokens"]
    row = [
        f"{compiled.simulator.name}, {result['schedule']}",
        result["head_tokens"],
        f"{result['head_tokens_per_second']:.0f}",
        f"{result['cycles_per_token']:g}",
        "-" if between is None else f"{between:g}",
    ]
    print(table(header, [row]))
    if result["seconds_per_token"] is not None:
        print(f"\n{result['seconds_per_token']:.2f} seconds for each new token")
    for c in checks:
        if c.first:
            print(f"MISMATCH with {c.reference}: {c.first}")


def _arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = command_parser("generate", __doc__, golden=False, package="codesign")
    parser.add_argument("--model", default=SHIPPED, metavar="NAME", help=MODEL_HELP)
    text = f"text to go on with (held-out {SOURCE}, {PROMPT_TOKENS} tokens)"
    parser.add_argument("--prompt", type=utf_8, metavar="TEXT", help=text)
    add = parser.add_argument
    add("--tokens", type=natural(1), default=48, metavar="N", help="tokens to add (48)")
    text = "0 takes the likeliest token, above it draws with the seed (0)"
    add("--temperature", type=_temperature, default=0.0, metavar="X", help=text)
    add_simulator(parser, workers=False)
    add_schedule(parser, "the first")
    add_back_pressure(parser, stalls=0)
    add_imperfections(parser)
    return parser.parse_args(arguments)


def _temperature(text: str) -> float:
    """Argument type: 0, or a number by which logits can be divided."""
    value = number(0)(text)
    if 0 < value < LEAST_TEMPERATURE:
        raise argparse.ArgumentTypeError(f"{text}: needs 0, or {LEAST_TEMPERATURE} up")
    return value


if __name__ == "__main__":
    run_command(main, resumable=True)
