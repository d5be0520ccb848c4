"""Adapt the teacher to gain-cell attention, in the stages of Leroux et al. 2025.

init       the linear hardware model, mapped by statistics
layerwise  its attention learns the teacher's, layer by layer
linear     it learns a teacher's next-token distribution: this one's, or a better one's (`--words`)
published  the cubic cell, its scalers moved to the linear model's statistics
matched    its output projections fitted to the linear model's attention
cubic      it learns that distribution again

Everything of the model learns in the last trained stages, as in the paper. Each finished stage is a
file in build/adapt; Ctrl-C saves the running one, and the same command continues.
`ml.small.control` trains the teacher for as long, to compare with.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from analog_models.spec import DEFAULT_PRESET, HardwareSpec, find_spec
from common.arguments import integer, natural, seed_number
from common.errors import run_command
from common.files import sha256, write_json
from common.provenance import provenance
from ml.attention.surrogate import SurrogateOps
from ml.checkpoint import load_weights, save_tensors
from ml.evaluate.perplexity import mean_loss, perplexity_of, texts_of
from ml.models.shipped import ADAPTED, PACKAGES, TEACHER
from ml.small.hardware_attention import fold, on_hardware
from ml.small.initialise import initialise
from ml.small.losses import distillation_loss, layer_wise_loss
from ml.small.matching import match, measure, refit
from ml.small.model import LanguageModel
from ml.small.shipped import digest, load_teacher, load_trained_on
from ml.small.stages import StageFolder, origin_of
from ml.small.train import load_tokens
from ml.train import corpus
from ml.train.loop import Run, Settings, fit, sample_batch, write_log

VALIDATION_TEXTS = 64
CALIBRATION_TEXTS = 8
MATCHING_TEXTS = 16
REFIT_TEXTS = 64


class Plan(NamedTuple):
    """How a stage is trained: its learning rates fall to zero from the first step on."""

    steps: int
    muon_rate: float  # of matrices
    learning_rate: float  # of what is no matrix


PLANS = {
    "layerwise": Plan(steps=1000, muon_rate=1e-2, learning_rate=1e-3),
    "linear": Plan(steps=4500, muon_rate=2e-3, learning_rate=4e-4),
    "cubic": Plan(steps=1000, muon_rate=5e-4, learning_rate=1e-4),
}
TRAINED_STAGES = tuple(PLANS)
Loss = Callable[[LanguageModel, Tensor], Tensor]  # of a model on ids [B, T + 1]


@dataclass(frozen=True)
class Adaptation:
    """What every stage shares."""

    teacher: LanguageModel
    teacher_sha256: str
    spec: HardwareSpec
    tokens: dict[str, Tensor]
    settings: dict[str, Settings]  # of each trained stage
    folder: Path
    words: Path | None = (
        None  # stage of ml.small.control whose distribution is learned, or the teacher's
    )

    def student(self, spec: HardwareSpec) -> LanguageModel:
        """A scaled hardware model for training, weights still to be set."""
        config = self.teacher.config
        return LanguageModel(config, on_hardware(spec, SurrogateOps(), scaled=True))

    @property
    def stages(self) -> StageFolder:
        """The finished stages of this teacher on this hardware."""
        return StageFolder(self.folder, origin_of(self.teacher_sha256, self.spec))

    def calibration(self, count: int) -> Tensor:
        """Texts [count, T] of the training split, for statistics."""
        return texts_of(self.tokens["train"], self.teacher.config.context, count)[:, :-1]


Maker = Callable[[], LanguageModel]
Teaching = Callable[[Adaptation, LanguageModel], Loss]


def load_stage(work: Adaptation, name: str, spec: HardwareSpec) -> LanguageModel:
    """The student as stage `name` left it, on the cell of `spec`.

    Raises ArtefactError, also when the stage is of another teacher or other hardware.
    """
    model, path = work.student(spec), work.stages.file(name)
    load_weights(model, work.stages.load(name)[0], path)
    return model


def train_stage(
    work: Adaptation, name: str, model: LanguageModel, settings: Settings, loss: Loss
) -> float:
    """Train `model` as stage `name`, or continue it, and keep the weights best in validation.

    Returns the seconds that it took.
    """
    context = work.teacher.config.context
    run = Run(model, settings, work.stages.state_file(name))
    if run.resume():
        print(f"{name}: continue at step {run.progress.step} of {settings.steps}", flush=True)
    texts = texts_of(work.tokens["validation"], context, VALIDATION_TEXTS)

    def loss_of(ids: Tensor, _step: int) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return loss(model, ids)

    def report(record: dict[str, Any]) -> None:
        if "validation_loss" not in record:
            return
        seen = record["step"] * settings.batch * context
        rate = seen / max(record["seconds"], 1e-9)
        write_log(work.folder / "log.jsonl", record | {"stage": name, "tokens": seen})
        print(
            f"{name:15} step {record['step']:5d}/{settings.steps}"
            f"  loss {record.get('train_loss', math.nan):.4f}"
            f"  validation perplexity {perplexity_of(record['validation_loss']):8.2f}"
            f"  {rate:6.0f} tokens/s",
            flush=True,
        )

    fit(
        run,
        loss_of,
        lambda step: sample_batch(work.tokens["train"], context, settings, step),
        lambda: mean_loss(model, texts),
        report,
    )
    return run.progress.seconds


def attention_loss(work: Adaptation, model: LanguageModel) -> Loss:
    """What stage layerwise minimises; nothing but attention learns from now on."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".attention." in name)
    return lambda student, ids: layer_wise_loss(student, work.teacher, ids[:, :-1])


def word_loss(work: Adaptation, model: LanguageModel) -> Loss:
    """What the stages after it minimise; everything learns from now on."""
    model.requires_grad_(True)
    source = load_trained_on(work.words, work.teacher) if work.words else work.teacher
    return lambda student, ids: distillation_loss(student, source, ids)


def stage_init(work: Adaptation) -> LanguageModel:
    """The linear hardware model, mapped by statistics."""
    model = work.student(work.spec.linearised())
    initialise(model, work.teacher, work.calibration(CALIBRATION_TEXTS))
    return model


def stage_published(work: Adaptation) -> LanguageModel:
    """The cubic model, its scalers matched to the statistics of the linear one."""
    ids = work.calibration(MATCHING_TEXTS)
    target = measure(load_stage(work, "linear", work.spec.linearised()), ids)
    model = load_stage(work, "linear", work.spec)
    errors = match(model, target, ids)
    moved = f"largest error {errors[0]:.4f} -> {errors[-1]:.4f}"
    print(f"{'published':15} {len(errors)} steps, {moved}")
    return model


def stage_matched(work: Adaptation) -> LanguageModel:
    """The same, its output projections fitted to the attention of the linear one."""
    model = load_stage(work, "published", work.spec)
    linear = load_stage(work, "linear", work.spec.linearised())
    refit(model, linear, work.calibration(REFIT_TEXTS))
    return model


def adapt(work: Adaptation) -> LanguageModel:
    """Run all stages that are not finished; the adapted model, scalers not folded."""
    linear, cubic = work.spec.linearised(), work.spec
    layer_wise, by_words = attention_loss, word_loss
    plan: list[tuple[str, str | None, Maker, Teaching | None]] = [
        ("init", None, lambda: stage_init(work), None),
        ("layerwise", "init", lambda: load_stage(work, "init", linear), layer_wise),
        ("linear", "layerwise", lambda: load_stage(work, "layerwise", linear), by_words),
        ("published", "linear", lambda: stage_published(work), None),
        ("matched", "published", lambda: stage_matched(work), None),
        ("cubic", "matched", lambda: load_stage(work, "matched", cubic), by_words),
    ]
    for name, start, make, teaching in plan:
        if work.stages.finished(name):
            work.stages.check_start(name, start)
            continue
        model, seconds = make(), 0.0
        if teaching is not None:
            loss = teaching(work, model)
            seconds = train_stage(work, name, model, work.settings[name], loss)
        work.stages.save(name, model.state_dict(), start, about=seconds)
    return load_stage(work, "cubic", cubic)


def export(work: Adaptation, model: LanguageModel, out: Path) -> None:
    """Fold the scalers and write the checkpoint in half precision, and its description as JSON."""
    context = work.teacher.config.context
    record = {
        "model": asdict(model.config),
        "settings": {name: asdict(settings) for name, settings in work.settings.items()},
        "tokens_seen": {n: s.steps * s.batch * context for n, s in work.settings.items()},
        "seconds": {n: work.stages.load(n)[1]["about"] for n in work.settings},
        "threads": torch.get_num_threads(),
        "teacher_sha256": work.teacher_sha256,
        "words_sha256": sha256(work.words) if work.words else None,
        **provenance(PACKAGES),
    }
    about = {"kind": "adapted", **work.spec.hashes, "preset": work.spec.name}
    half = {name: tensor.half() for name, tensor in fold(model).state_dict().items()}
    save_tensors(out, half, about | {"run": record})
    described = about | {"sha256": sha256(out), "run": record}
    write_json(out.with_suffix(".json"), described)
    print(f"wrote {out}")


def make_parser(prog: str, description: str | None) -> argparse.ArgumentParser:
    """Options of the adaptation, which are those of what it is compared with, too."""
    parser = argparse.ArgumentParser(
        prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--spec", default=DEFAULT_PRESET, help="hardware: a preset or a JSON file")
    for name, plan in PLANS.items():
        add(f"--{name}-steps", type=integer, default=plan.steps, help=f"({plan.steps})")
    add("--batch", type=integer, default=8, help="texts of 256 tokens per step (8)")
    add("--seed", type=seed_number, default=2)
    add("--threads", type=natural(0, 1024), default=0, help="0: as torch chooses")
    add("--cache", type=Path, default=corpus.CACHE, help="cached text")
    add("--teacher", type=Path, default=TEACHER, help="teacher checkpoint")
    add("--folder", type=Path, default=Path("build/adapt"), help="run state")
    return parser


def work_of(options: argparse.Namespace) -> Adaptation:
    """The run that the command line describes."""
    settings = {
        name: Settings(
            steps=getattr(options, f"{name}_steps"),
            batch=options.batch,
            learning_rate=plan.learning_rate,
            warmup_steps=20,
            decay_fraction=1.0,
            weight_decay=0.0,
            muon_rate=plan.muon_rate,
            seed=options.seed + i,
            validate_every=100,
            save_every=50,
        )
        for i, (name, plan) in enumerate(PLANS.items())
    }
    return Adaptation(
        teacher=load_teacher(options.teacher),
        teacher_sha256=digest(options.teacher),
        spec=find_spec(options.spec),
        tokens=load_tokens(options.cache),
        settings=settings,
        folder=options.folder,
    )


def main(argv: list[str] | None = None) -> int:
    """Command line of the adaptation."""
    parser = make_parser("ml.small.adapt", __doc__)
    parser.add_argument("--out", type=Path, default=ADAPTED, help="checkpoint to write")
    text = "stage of ml.small.control to learn the words of, in linear and cubic (the teacher)"
    parser.add_argument("--words", type=Path, metavar="FILE", help=text)
    options = parser.parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    work = replace(work_of(options), words=options.words)
    export(work, adapt(work), options.out)
    return 0


if __name__ == "__main__":
    run_command(main, resumable=True)
