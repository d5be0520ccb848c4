"""Write text with the shipped language model, every attention head of it co-simulated.

    python -m codesign.generate [--prompt TEXT] [--tokens N] [--temperature X] [--seed N]
                                [--sim NAME] [--schedule NAME] [--stalls N]
                                [--imperfections NAME] [--device N]

Each head of each layer is Verilog in a simulator of its own, coupled to the analog model of its
arrays. Token by token the model computes codes, the simulators answer, and the next token comes
from their counts. Then the text and all codes are compared with those of the torch and of the numpy
model. With --imperfections the reference is numpy with the same hardware and the same noise, and
the text and perplexity without them are shown, too. Ctrl-C keeps what was written so far.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve the simulators

import torch
from tokenizers import Tokenizer
from torch import Tensor

from analog_models.spec import HardwareSpec, load_preset, overlaid
from codesign.checks import Check, against_all_at_once, against_heads
from codesign.closed_loop import ClosedLoop, Sampler, generate
from codesign.damage import damage
from codesign.heads import Feed, GoldenHeads, SimulatedHeads
from codesign.screen import Screen
from common.arguments import number, utf_8
from common.errors import run_command
from common.files import write_json
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
from ml.errors import SettingError
from ml.evaluate.perplexity import texts_of
from ml.models.shipped import PACKAGES
from ml.small.model import LanguageModel, ModelConfig
from ml.small.shipped import load_adapted
from ml.train import heldout, tokenizer

SOURCE = "shakespeare"
PROMPT_TOKENS = 32
TEXTS = 16  # of the model's context, for the perplexity
MODEL = ModelConfig()
LEAST_TEMPERATURE = 0.001  # that logits can be divided by


@dataclass
class Text:
    """A text in the making: ids that were given, ids that were added, and when each was there."""

    bpe: Tokenizer
    prompt: Tensor
    added: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def ids(self) -> Tensor:
        return torch.cat([self.prompt, torch.tensor(self.added, dtype=torch.int64)])

    def result(self) -> dict[str, Any]:
        """What a result file says of it."""
        return {
            "prompt": self.bpe.decode(self.prompt.tolist()),
            "text": self.bpe.decode(self.added),
            "prompt_tokens": len(self.prompt),
            "tokens": len(self.added),
        }


def main() -> int:
    """Command line: 0 if all is equal to the references, 1 if not, 2 on an error."""
    args = _arguments()
    spec = _spec(args)
    args.schedule = args.schedule or next(iter(spec.schedules))
    text = _prompt(args)
    feed = Feed(spec, MODEL.layers, MODEL.heads, args.schedule, args.stalls, args.seed)
    compiled = build(spec, args.sim, say=True)
    settings = ("schedule", "stalls", "seed", "temperature", "imperfections", "device")
    record = {
        "spec": spec.name,
        **spec.hashes,
        "simulator": f"{args.sim} {compiled.simulator.version()}",
        **{name: getattr(args, name) for name in settings},
    }
    record |= provenance((*PACKAGES, "amaranth", "cocotb"))
    try:
        loop, measured = _write(text, compiled, feed, args)
    finally:
        path = args.build / "generate" / "run.json"
        run = {"asked_for": args.tokens, "ids": text.ids.tolist(), "seconds": text.seconds}
        write_json(path, text.result() | run | record)
        print(f"run:    {path}", file=sys.stderr)
    checks = _check(text, loop, feed, args)
    result = text.result() | measured | record
    result["mismatches"] = sum(check.mismatches + check.tokens_differing for check in checks)
    result["references"] = [check.result() for check in checks]
    _print_report(result, checks, compiled)
    if not spec.imperfections.off:
        result["damage"] = _damage(text, feed, args)
    print(f"result: {write_json(args.build / 'generate' / 'result.json', result)}")
    return 1 if result["mismatches"] else 0


def _write(
    text: Text, compiled: Build, feed: Feed, args: argparse.Namespace
) -> tuple[ClosedLoop, dict[str, Any]]:
    """Let the co-simulated model add tokens to the text; the loop, and what was measured of it."""
    screen, count = Screen(), feed.layers * feed.heads
    total = (len(text.prompt) + args.tokens - 1) * count
    begin = time.perf_counter()

    def tell(head_tokens: int) -> None:
        rate = head_tokens / (time.perf_counter() - begin)
        done = f"{len(text.added)}/{args.tokens} tokens"
        screen.state(f"{done}, {head_tokens}/{total} head-tokens, {rate:.0f}/s")

    print(f"starting {count} simulators ...", end=" ", file=sys.stderr, flush=True)
    with SimulatedHeads(compiled, feed, tell) as heads:
        started_s, begin = time.perf_counter() - begin, time.perf_counter()
        print(f"done in {started_s:.0f} s", file=sys.stderr)
        loop = ClosedLoop(load_adapted(feed.spec), heads)
        with screen:
            screen.text(f"{text.result()['prompt']}|")
            for token in generate(loop.predict, text.prompt, args.tokens, _sampler(args)):
                text.added.append(token)
                text.seconds.append(time.perf_counter() - begin)
                screen.text(text.bpe.decode([token]))
        measured = heads.measured()
    rate = measured["head_tokens"] / text.seconds[-1]
    return loop, measured | {"start_s": started_s, "head_tokens_per_second": rate}


def _check(text: Text, loop: ClosedLoop, feed: Feed, args: argparse.Namespace) -> list[Check]:
    """Compare text and codes with the references; torch has no noise of single tokens."""
    given = text.ids, len(text.prompt), loop.codes
    checks = []
    if feed.spec.imperfections.off:
        checks.append(against_all_at_once(load_adapted(feed.spec), *given, _sampler(args)))
    golden = GoldenHeads(feed)
    return [*checks, against_heads(load_adapted(feed.spec), golden, *given, _sampler(args))]


def _damage(text: Text, feed: Feed, args: argparse.Namespace) -> dict[str, Any]:
    """Show what the imperfections do to the text and to perplexity; for the result file."""

    def load() -> LanguageModel:
        return load_adapted(feed.spec.ideal)

    texts = texts_of(heldout.load_joined(), MODEL.context, TEXTS)
    found = damage(load, feed, text.ids, len(text.prompt), _sampler(args), texts)
    ideal = text.bpe.decode(found.ideal)
    since = "" if found.first is None else f", from token {found.first + 1} on"
    print(f"\nwithout imperfections: |{ideal}")
    print(f"\ntokens that imperfections change: {found.changed} of {args.tokens}{since}")
    print(
        f"perplexity on {found.tokens:,} held-out tokens: {found.ideal_perplexity:.2f} without, "
        f"{found.perplexity:.2f} with imperfections (x {found.ratio:.3f})"
    )
    return found.result() | {"ideal_text": ideal}


def _spec(args: argparse.Namespace) -> HardwareSpec:
    """The shipped specification, with imperfections if there are to be some."""
    spec = load_preset()
    if not args.imperfections:
        return spec
    spec = overlaid(spec, args.imperfections)
    return spec.replace(imperfections__device_seed=spec.imperfections.device_seed + args.device)


def _sampler(args: argparse.Namespace) -> Sampler:
    return Sampler(args.temperature, args.seed)


def _prompt(args: argparse.Namespace) -> Text:
    """The text to go on with. Raises `SettingError` if it is empty or leaves too little room."""
    bpe = tokenizer.load()
    if args.prompt is None:
        ids = heldout.load()[SOURCE][:PROMPT_TOKENS]
    else:
        ids = torch.tensor(bpe.encode(args.prompt).ids, dtype=torch.int64)
    room = MODEL.context + 1 - len(ids)  # the last token is not fed back
    if not len(ids) or args.tokens > room:
        raise SettingError(
            f"prompt of {len(ids)} tokens and {args.tokens} to add: the prompt needs at least 1, "
            f"and the model's context takes {MODEL.context + 1} together"
        )
    return Text(bpe, ids)


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
    for c in checks:
        if c.first:
            print(f"MISMATCH with {c.reference}: {c.first}")


def _arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = command_parser("generate", __doc__, golden=False, package="codesign")
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
    run_command(main)
