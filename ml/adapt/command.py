"""Adapt a pretrained language model to gain-cell attention.

init       the linear hardware model, mapped by statistics
layerwise  its attention learns the teacher's, layer by layer
refit      each output projection fitted to the teacher's attention, behind the errors before it
linear     it learns the teacher's next-token distribution
published  the cubic cell by the published matching, to compare with; only where it is asked for
matched    the cubic cell, its signals moved to the linear model's statistics, without a gradient
cubic      it learns the teacher's distribution again

In the output folder: model/ for from_pretrained, delta.safetensors with what differs from the base
(ml.models.delta), stages/ with a file for each finished stage, log.jsonl, tensorboard/, plots, and
run.json. Ctrl-C saves, and so does the run every few steps; the same command continues, and
finished stages are not repeated.

With --control the teacher itself is trained for as many tokens, to compare with (ml.adapt.control):
control/ for from_pretrained, and control.json.

On several cores or machines: torchrun --nproc-per-node N -m ml.adapt ... with the same options;
a batch is then N times as large, and the output folder must be one that all ranks see.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from analog_models.spec import find_spec
from common.errors import run_command
from common.files import sha256, write_json
from common.provenance import provenance
from ml.adapt.arguments import make_parser, options_of, settings_of
from ml.adapt.control import control_settings, run_control
from ml.adapt.journal import note
from ml.adapt.plots import write_plots
from ml.adapt.stage_files import load_stage, origin_of
from ml.adapt.stages import first_start, run_stages
from ml.adapt.student import adapted_tensors, load_adapted, new_student
from ml.adapt.work import CONTROL, STAGES, Adaptation
from ml.errors import SettingError
from ml.evaluate.perplexity import perplexity_of
from ml.models.convert import check_model
from ml.models.delta import save_delta, weights_sha256
from ml.models.families import GainCellModel
from ml.models.fold import save_folded
from ml.models.low_rank import merge_low_rank
from ml.models.network import mean_loss
from ml.models.shipped import PACKAGES, RUN, find_base
from ml.train.own_text import check_ids, encode, read
from ml.train.parallel import Ranks, joined


def adaptation(
    given: argparse.Namespace, ranks: Ranks
) -> tuple[Adaptation, PreTrainedTokenizerBase]:
    """The run that the command line describes, and its model's tokenizer."""
    settings, options = settings_of(given, ranks), options_of(given)
    if given.control:
        settings = control_settings(settings)
    spec = find_spec(given.spec)
    teacher, tokenizer = find_base(given.base)
    check_model(teacher, spec)
    check_context(teacher, given.context)
    if ranks.first:
        encode(read(given.text, given.cache), tokenizer, given.cache)
    ranks.wait()
    text = encode(read(given.text, given.cache), tokenizer, given.cache)
    for ids in (text.train, text.validation):
        check_ids(ids, tokenizer, teacher)
    work = Adaptation(
        teacher=teacher,
        spec=spec,
        text=text,
        options=options,
        settings=settings,
        folder=given.out,
        origin=origin_of(weights_sha256(teacher), spec, mixing=given.mixing),
        ranks=ranks,
        words=given.words,
    )
    return work, tokenizer


def check_context(model: PreTrainedModel, context: int) -> None:
    """Raise SettingError for texts that are longer than the positions of `model` reach."""
    longest = model.config.max_position_embeddings
    if context > longest:
        raise SettingError(
            f"context is {context}, must be at most {longest}, which is where the positions of the "
            "model end"
        )


def take_start(work: Adaptation, given: str, wanted: list[str]) -> list[str]:
    """Make the file of STAGE=FILE a finished stage; those of `wanted` that come after it."""
    stage, _, name = given.partition("=")
    path = Path(name)
    if stage not in STAGES or not name:
        raise SettingError(
            f"start is {given!r}, must be STAGE=FILE with one of {', '.join(STAGES)}"
        )
    source = {"taken_from": path.name, "sha256": sha256(path)}
    if work.ranks.first:
        if not work.stages.finished(stage):
            network = new_student(work.teacher, work.spec, stage, work.options)
            tensors, _ = load_stage(path, origin=None)
            load_adapted(network, tensors, path)
            own = adapted_tensors(network)
            work.stages.save(stage, {name: own[name] for name in tensors}, None, source)
        elif work.stages.load(stage)[1].get("about") != source:
            raise SettingError(
                f"start is {given}, but {work.stages.file(stage)} is of something else; remove it"
            )
    work.ranks.wait()
    return [name for name in wanted if STAGES.index(name) > STAGES.index(stage)]


def export_control(work: Adaptation, stage: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write the teacher as `stage` of its control left it."""
    network = work.copy_of_teacher()
    load_adapted(network, work.stages.load(stage)[0], work.stages.file(stage))
    folder = work.folder / "control"
    network.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(f"wrote {folder}")


def export(
    work: Adaptation, stage: str, tokenizer: PreTrainedTokenizerBase, folded: Path | None
) -> None:
    """Write the model as `stage` left it, and what of it differs from its base.

    What was not trained is the teacher's, in its own precision. folded: where it is written with
    its heads folded into the projections, too.
    """
    network = new_student(work.teacher, work.spec, stage, work.options)
    load_adapted(network, work.stages.load(stage)[0], work.stages.file(stage))
    merge_low_rank(network)
    folder = work.folder / "model"
    network.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    delta = work.folder / "delta.safetensors"
    assert isinstance(network.model, GainCellModel)
    size = save_delta(delta, work.teacher, network.model, adapted_at=stage)
    print(f"wrote {folder} and {delta} ({size / 1e6:.1f} MB)")
    if folded is not None:
        save_folded(network.model, folded)
        tokenizer.save_pretrained(folded)
        print(f"wrote {folded}")


def record(
    work: Adaptation, given: argparse.Namespace, teacher: float, stages: tuple[str, ...]
) -> dict[str, Any]:
    """What run.json holds: where the result comes from, and the perplexity of every stage."""
    about = {
        stage: work.stages.load(stage)[1]["about"]
        for stage in stages
        if work.stages.finished(stage)
    }
    trained = {
        stage: about[stage] for stage in work.settings if "tokens_used" in about.get(stage, {})
    }
    rows = [
        {
            "stage": "teacher",
            "perplexity": teacher,
            "ratio_to_teacher": 1.0,
            "tokens_used": 0,
            "wall_time_s": 0.0,
        }
    ]
    used, seconds = 0, 0.0
    for stage, found in about.items():
        if "perplexity" not in found:  # taken from elsewhere
            continue
        used, seconds = used + found["tokens_used"], seconds + found["wall_time_s"]
        rows.append(
            {
                "stage": stage,
                "perplexity": found["perplexity"],
                "ratio_to_teacher": found["perplexity"] / teacher,
                "tokens_used": used,
                "wall_time_s": round(seconds, 1),
            }
        )
    return {
        "base": given.base,
        "teacher_sha256": weights_sha256(work.teacher),
        "words_sha256": sha256(work.words) if work.words else None,
        "origin": work.origin,
        "preset": work.spec.name,
        **work.spec.hashes,
        "text": given.text,
        "text_sha256": work.text.digest,
        "options": asdict(work.options),
        "settings": {name: asdict(settings) for name, settings in work.settings.items()},
        "tokens_seen": {stage: found["tokens_used"] for stage, found in trained.items()},
        "seconds": {stage: found["wall_time_s"] for stage, found in trained.items()},
        "ranks": work.ranks.size,
        "threads": torch.get_num_threads(),
        "rows": [{"model": given.base, **row} for row in rows],
        "stages": about,
        **provenance((*PACKAGES, "transformers")),
    }


def teacher_perplexity(work: Adaptation) -> float:
    """Of the validation texts, as every stage's is measured."""
    perplexity = perplexity_of(mean_loss(work.softmax, work.validation, work.ranks))
    if work.ranks.first:
        print(f"{'teacher':10} validation perplexity {perplexity:.2f}", flush=True)
        note(work.folder, "teacher", {"perplexity": perplexity})
    return perplexity


def main(argv: list[str] | None = None) -> int:
    """Command line of the adaptation."""
    given = make_parser(__doc__).parse_args(argv)
    if given.threads:
        torch.set_num_threads(given.threads)
    disable_progress_bar()  # of transformers, for loading and saving
    with joined() as ranks:
        work, tokenizer = adaptation(given, ranks)
        if given.control:
            teacher = teacher_perplexity(work)
            last = run_control(work)
            if ranks.first:
                export_control(work, last, tokenizer)
                write_json(work.folder / "control.json", record(work, given, teacher, CONTROL))
            return 0
        _adapt(work, given, tokenizer)
    return 0


def _adapt(work: Adaptation, given: argparse.Namespace, tokenizer: PreTrainedTokenizerBase) -> None:
    wanted = given.stages
    if given.start:
        wanted = take_start(work, given.start, wanted)
    first_start(work, wanted)  # rather now than after the teacher's turn
    teacher = teacher_perplexity(work)
    last = run_stages(work, wanted)
    if work.ranks.first:
        export(work, last, tokenizer, given.fold)
        told = record(work, given, teacher, STAGES)
        for folder in (work.folder, given.fold):
            if folder is not None:
                write_json(folder / RUN, told)
        write_plots(work.folder)


if __name__ == "__main__":
    run_command(main, resumable=True)
