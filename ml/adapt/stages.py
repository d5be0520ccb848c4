"""How the stages run: each begins with the one before it and ends as a file.

Rank 0 does what is not training, and writes; every rank reads.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from ml.adapt.initialise import attention_outputs, fit_outputs, initialise
from ml.adapt.journal import Journal, note
from ml.adapt.matching import Matching, match
from ml.adapt.objectives import EndToEnd, LayerWise, Result, layer_errors
from ml.adapt.stage_files import load_stage
from ml.adapt.student import adapted_tensors, load_adapted, student_at
from ml.adapt.work import CONTROL, STAGES, TRAINED, Adaptation
from ml.errors import SettingError
from ml.evaluate.perplexity import perplexity_of
from ml.models.families import GainCellModel, set_hardware
from ml.models.network import Network, freeze, mean_loss
from ml.train.loop import Run, fit, sample_batch
from ml.train.parallel import ALONE

Objective = Callable[[Tensor], Result]


def first_start(work: Adaptation, wanted: list[str]) -> str | None:
    """The finished stage that the first of `wanted` begins with; None for the first of all.

    Raises SettingError where there is none.
    """
    first = STAGES.index(wanted[0])
    earlier = [n for n in reversed(STAGES[:first]) if (n, wanted[0]) != ("published", "matched")]
    start = next((n for n in earlier if work.stages.finished(n)), None)
    if start is None and wanted[0] != "init":
        raise SettingError(
            f"stages begin with {wanted[0]}, but {work.stages.folder} holds no stage before it; "
            "begin with init"
        )
    return start


def run_stages(work: Adaptation, wanted: list[str]) -> str:
    """Run those stages that are not finished; the name of the last one.

    Stage `published` shows what the published matching gives: `matched` begins where it began.
    Raises ArtefactError for a finished stage that does not fit, and as `first_start` does.
    """
    start = earlier = first_start(work, wanted)
    for stage in wanted:
        if (start, stage) == ("published", "matched"):
            start = earlier
        if not is_finished(work, stage, start):
            _run_stage(work, stage, start)
        start, earlier = stage, start
    return wanted[-1]


def is_finished(work: Adaptation, stage: str, start: str | None) -> bool:
    """Whether there is a file of `stage`, which began with `start`. Raises ArtefactError."""
    finished = work.stages.finished(stage)
    work.ranks.agree(finished, f"whether stage {stage} is finished")
    if finished:
        work.stages.check_start(stage, start)
        if work.ranks.first:
            print(f"{stage:10} is finished", flush=True)
    return finished


def _run_stage(work: Adaptation, stage: str, start: str | None) -> None:
    """Run one stage and write its file."""
    began = time.monotonic()
    if stage in TRAINED:
        student = student_at(work, stage, start)
        seconds = train_stage(work, stage, student, objective_of(work, stage, student))
    elif work.ranks.first:
        student = MAKERS[stage](work, start)
        seconds = time.monotonic() - began
    else:
        work.ranks.wait()
        return
    finish(work, stage, student, start, seconds)


def finish(
    work: Adaptation, stage: str, student: Network, start: str | None, seconds: float
) -> None:
    """Write the file of a stage that took so long; every rank has to call this."""
    if work.ranks.first:
        about = _describe(work, stage, student, seconds)
        work.stages.save(stage, adapted_tensors(student), start, about)
    work.ranks.wait()


def _initial(work: Adaptation, _start: str | None) -> Network:
    """The linear hardware model, mapped by statistics."""
    student = student_at(work, "init", None)
    texts = work.calibration(work.options.calibration_texts)
    initialise(student, work.softmax, texts, work.options.mapping)
    return student


def _refitted(work: Adaptation, start: str | None) -> Network:
    """The linear model, each output projection fitted anew behind the errors before it."""
    student, texts = student_at(work, "refit", start), work.calibration(work.options.refit_texts)
    targets = attention_outputs(work.softmax, texts)
    fit_outputs(student, targets, lambda: student.hidden(texts), work.options.mapping.ridge)
    return student


def _matched(work: Adaptation, start: str | None, matching: Matching | None = None) -> Network:
    """The cubic model, matched to the linear one."""
    student, options = student_at(work, "linear", start), work.options
    model = student.model
    assert isinstance(model, GainCellModel)
    chosen = matching or options.matching
    more = chosen == "published-regression"  # few texts are too few where the model is small
    errors = match(
        student,
        work.calibration(options.matching_texts),
        chosen,
        lambda: set_hardware(model, work.spec, "cubic"),
        options.mapping.ridge,
        work.calibration(options.refit_texts) if more else None,
    )
    name = "matched" if matching is None else matching
    print(f"{name:10} {len(errors)} steps, largest error {errors[0]:.4f} -> {errors[-1]:.4f}")
    return student


MAKERS: dict[str, Callable[[Adaptation, str | None], Network]] = {
    "init": _initial,
    "refit": _refitted,
    "published": partial(_matched, matching="published"),
    "matched": _matched,
}


def objective_of(work: Adaptation, stage: str, student: Network) -> Objective:
    """What `student` learns in `stage`. Raises ArtefactError for words that are not there."""
    if stage == "layerwise":
        return LayerWise(work.softmax, student)
    options, teacher = work.options, work.softmax
    if work.words is not None:
        teacher = work.copy_of_teacher()
        load_adapted(teacher, load_stage(work.words, work.origin)[0], work.words)
        freeze(teacher, lambda name: False)
    return EndToEnd(teacher, student, options.hidden_weight, options.text_weight)


def train_stage(work: Adaptation, stage: str, student: Network, objective: Objective) -> float:
    """Train `student` as `stage`, or continue it; seconds that it took.

    Afterwards it has the weights best in validation.
    """
    settings, options, ranks = work.settings[stage], work.options, work.ranks
    run = Run(student.model, settings, work.stages.state_file(stage), work.identity, ranks)
    resumed = run.resume()
    ranks.agree(run.progress.step, "the step to continue at")
    if resumed and ranks.first:
        print(f"{stage}: continue at step {run.progress.step} of {settings.steps}", flush=True)
    details: dict[str, Any] = {}

    def loss_of(texts: Tensor, _step: int) -> Tensor:
        loss, found = objective(texts)
        details.update(found)
        return loss

    def report(record: dict[str, Any]) -> None:
        journal.report({**record, **details})

    journal = Journal(
        work.folder,
        stage,
        settings.steps,
        run.progress.step,
        settings.batch * options.context,
        silent=not ranks.first,
    )
    with journal:
        fit(
            run,
            loss_of,
            lambda step: ranks.share(
                sample_batch(work.text.train, options.context, settings, step)
            ),
            lambda: mean_loss(student, work.validation, ranks),
            report,
        )
    return run.progress.seconds


def _describe(work: Adaptation, stage: str, student: Network, seconds: float) -> dict[str, Any]:
    """What is known of a finished stage; printed and noted in the log as well."""
    ids = work.validation[: work.options.matching_texts, :-1]
    perplexity = perplexity_of(mean_loss(student, work.validation, ALONE))
    settings = work.settings.get(stage)
    tokens = settings.steps * settings.batch * work.options.context if settings else 0
    record = {
        "perplexity": perplexity,
        "tokens_used": tokens,
        "wall_time_s": round(seconds, 1),
    }
    if stage not in CONTROL:
        record["layer_errors"] = layer_errors(work.softmax, student, ids)
    print(f"{stage:10} finished: validation perplexity {perplexity:.2f}, {seconds:.0f} s")
    note(work.folder, stage, record)
    return record
