"""Models of transformers on held-out text or one's own: SmolLM2, or an adapted model in a folder.

One table and one record for all: softmax, where the model that was adapted is known, what it was
adapted to, and that again on imperfect hardware where somebody asks for it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from analog_models.spec import HardwareSpec
from common.files import sha256
from common.progress import ProgressLine
from ml.checkpoint import load_tensors
from ml.evaluate.imperfect import Conditions, imperfect
from ml.evaluate.kinds import Kinds, heldout_kind, own_kinds
from ml.evaluate.perplexity import perplexity
from ml.evaluate.subject import CONTEXT, ON_FAST_KERNEL, context_of, evaluated, find_subject
from ml.evaluate.table import NOTHING, SMOLLM2, TEACHER, Cost, Report, cost_of
from ml.models import smollm2
from ml.models.convert import convert
from ml.models.delta import load_delta, weights_sha256
from ml.models.shipped import DELTAS, find_base
from ml.train.own_text import check_ids, heldout_ids, ids_of

TEXTS = 16


class Stage(NamedTuple):
    """One row. make: gives the model; cost: what its adaptation took; file: that may be missing."""

    name: str
    make: Callable[[], PreTrainedModel]
    cost: Cost = Cost()
    file: Path | None = None


def stages(base: PreTrainedModel, spec: HardwareSpec) -> Iterator[Stage]:
    """Those of SmolLM2."""
    yield Stage(TEACHER, lambda: base, NOTHING)
    yield Stage("naive", lambda: evaluated(convert(base, spec)), NOTHING)
    for name, path in DELTAS.items():
        cost = _cost(path, name) if path.exists() else Cost()
        yield Stage(name, lambda path=path: evaluated(load_delta(path, base)), cost, path)


def texts_for(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    context: int,
    count: int | None,
    folder: Path | None,
) -> Kinds:
    """At most `count` held-out texts, or texts of each *.txt file of `folder`, of `context` tokens.

    Raises CorpusError, SettingError.
    """

    def checked(ids: Tensor) -> Tensor:
        check_ids(ids, tokenizer, model)
        return ids

    limit = TEXTS if count is None else count
    if folder is None:
        return heldout_kind(checked(heldout_ids(tokenizer)), context, limit)
    return own_kinds(folder, lambda text: checked(ids_of({"": text}, tokenizer)), context, limit)


def evaluate(
    spec: HardwareSpec,
    report: Report,
    count: int | None = None,
    folder: Path | None = None,
    conditions: Conditions | None = None,
) -> None:
    """Add every stage of SmolLM2 to `report`; `folder`: of one's own *.txt files.

    Raises ArtefactError for a package or a delta that is damaged, SettingError, CorpusError.
    """
    base, pretrained = smollm2.load()
    kinds = texts_for(base, pretrained, CONTEXT, count, folder)
    about = {
        "attention": ON_FAST_KERNEL,
        "base_sha256": weights_sha256(base),
        "sha256": {path.name: sha256(path) for path in DELTAS.values() if path.exists()},
    }
    add_stages(report, SMOLLM2, stages(base, spec), kinds, about, conditions)


def evaluate_folder(
    name: str,
    base: str | None,
    report: Report,
    count: int | None = None,
    folder: Path | None = None,
    conditions: Conditions | None = None,
) -> HardwareSpec:
    """Add the adapted model in the folder `name`, after the model `base` that it came from.

    Returns the hardware that it was adapted to.

    Raises ArtefactError, ModelError, SettingError, CorpusError.
    """
    subject = find_subject(name)
    kinds = texts_for(subject.model, subject.tokenizer, context_of(subject.model), count, folder)
    weights = subject.weights
    about = {
        "attention": subject.attention,
        "sha256": {weights["file"]: weights["sha256"]},
    }
    report.preset = subject.spec.name
    rows = [Stage(subject.model.config.stage, lambda: subject.model)]
    if base is not None:
        rows.insert(0, Stage(TEACHER, lambda: find_base(base).model, NOTHING))
    add_stages(report, subject.label, rows, kinds, about, conditions)
    return subject.spec


def add_stages(
    report: Report,
    title: str,
    rows: Any,
    kinds: Kinds,
    about: dict[str, Any],
    conditions: Conditions | None,
) -> None:
    """Measure the stages `rows` on every kind of text; the last one under `conditions`, too."""
    if conditions:
        about |= {"imperfections": conditions._asdict()}
    report.begin(title, **kinds.about, **about)
    model, last = None, None
    for stage in rows:
        if stage.file is not None and not stage.file.exists():
            report.missing(stage.name, f"no {stage.file.name}")
            continue
        model, last = stage.make(), stage
        for kind, texts in kinds.tensors.items():
            value = perplexity(model, texts, _progress(f"{stage.name}, {kind}", len(texts)))
            report.add(title, stage.name, value, stage.cost, text=kind)
    if conditions and model is not None and last is not None:
        add_imperfect(report, title, model, last.name, last.cost, kinds, conditions)


def add_imperfect(
    report: Report,
    title: str,
    model: PreTrainedModel,
    stage: str,
    cost: Cost,
    kinds: Kinds,
    conditions: Conditions,
) -> None:
    """One row more for `stage`, whose `model` is measured on imperfect hardware."""
    hardware, name = conditions.hardware(model.config.spec), f"{stage}, imperfect"
    for kind, texts in kinds.tensors.items():
        with imperfect(model, hardware, conditions.noise()):
            value = perplexity(model, texts, _progress(f"{name}, {kind}", len(texts)))
        report.add(title, name, value, cost, text=kind)


def _cost(path: Path, stage: str) -> Cost:
    """What the delta's header says that its adaptation took."""
    header = load_tensors(path)[1]
    return cost_of(header.get("run", header), stage)


def _progress(name: str, count: int) -> Callable[[int], None]:
    line = ProgressLine()
    return lambda done: line.show(f"{name}: text {done} of {count}")
