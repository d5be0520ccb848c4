"""Perplexity of models of which some layers run on gain cells and the others keep softmax.

    python -m ml.evaluate.mixed [--model NAME] [--base NAME] [--choice CHOICE] [--texts N]
    python -m ml.evaluate.mixed --stage build/adapt/stages/layerwise.safetensors

Layers on gain cells are blocks of the adapted model, the others those of the model that it was
adapted from, as they are. With --stage the adapted model is a stage of `ml.adapt`: in `layerwise`
each layer has learned one layer of the teacher, so that every choice of layers is a model.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from analog_models.spec import DEFAULT_PRESET, HardwareSpec, find_spec
from common.arguments import natural
from common.errors import ArtefactError, run_command
from common.files import sha256, write_json
from common.plots import plot_file
from common.progress import ProgressLine
from common.provenance import provenance
from ml.adapt.stage_files import load_stage, origin_of
from ml.adapt.student import UPDATES, load_adapted, new_student
from ml.adapt.work import Options
from ml.errors import ModelError, SettingError
from ml.evaluate.perplexity import perplexity
from ml.evaluate.sensitivity_plots import POINTS
from ml.evaluate.subject import CONTEXT, MODEL_HELP, Subject, evaluated, find_subject
from ml.models.delta import weights_sha256
from ml.models.families import FAMILIES, GainCellModel
from ml.models.low_rank import merge_low_rank
from ml.models.network import Network
from ml.models.shipped import NAMES, PACKAGES, SHIPPED, Found, find_base

FOLDER = Path("build/mixed")
TEXTS = 64
MOST = 8  # layers of which all choices are measured
FEW = 6  # layers of which they are if nobody says otherwise

Layers = tuple[int, ...]
CHOICES: dict[str, Callable[[int], Iterator[Layers]]] = {
    "all": lambda n: (c for size in range(n + 1) for c in combinations(range(n), size)),
    "prefix": lambda n: (tuple(range(size)) for size in range(n + 1)),
    "suffix": lambda n: (tuple(range(n - size, n)) for size in range(n + 1)),
    "one-in": lambda n: iter([(), *((i,) for i in range(n))]),
    "one-out": lambda n: iter([(), tuple(range(n)), *(_without(i, n) for i in range(n))]),
}


class Mix(NamedTuple):
    """The layers on gain cells, from 0, and what the model with them gives."""

    layers: Layers
    perplexity: float
    ratio_to_teacher: float


def _without(layer: int, depth: int) -> Layers:
    return tuple(i for i in range(depth) if i != layer)


def choices_of(depth: int, choice: str | None = None) -> list[Layers]:
    """The choices of layers to measure, that of none first; without `choice` what suits the depth.

    Raises SettingError for all choices of many layers.
    """
    choice = choice or ("all" if depth <= FEW else "prefix")
    if choice == "all" and depth > MOST:
        others = ", ".join(name for name in CHOICES if name != "all")
        raise SettingError(
            f"choice is 'all': {depth} layers have 2^{depth} choices; allowed up to {MOST} layers, "
            f"take one of {others}"
        )
    return list(CHOICES[choice](depth))


@contextmanager
def mixed(teacher: Network, student: Network, layers: Layers) -> Iterator[PreTrainedModel]:
    """Inside, `teacher` with the blocks `layers` of `student`; with all of them, `student` itself.

    What is not in a block, as the embedding, is the teacher's until then.
    """
    if len(layers) == len(student.blocks):
        yield student.model
        return
    names = [name.rpartition(".")[0] for name in teacher.names]
    try:
        for i in layers:
            teacher.model.set_submodule(names[i], student.blocks[i])
        yield teacher.model
    finally:
        for i in layers:
            teacher.model.set_submodule(names[i], teacher.blocks[i])


def pair_of(base: PreTrainedModel, adapted: PreTrainedModel) -> tuple[Network, Network]:
    """Both models in the precision of `adapted`, to be mixed; `base` changes.

    Raises ModelError for models whose blocks do not fit each other.
    """
    own, other = (type(m).__name__ for m in (base, adapted))
    if FAMILIES.get(type(base)) is not type(adapted):
        raise ModelError(f"{other} does not come from {own}: give the model that was adapted")
    base.set_attn_implementation("sdpa")  # it makes no mask, which the hardware could not take
    base = base.to(adapted.dtype).eval().requires_grad_(False)  # pyright: ignore
    pair = Network(base, torch.float32), Network(adapted, torch.float32)
    sizes = [(len(n.blocks), n.model.config.hidden_size, n.model.config.vocab_size) for n in pair]
    if sizes[0] != sizes[1]:
        raise ModelError(
            f"layers, width and vocabulary are {sizes[0]} in the base, {sizes[1]} in the adapted "
            "model: give the model that was adapted"
        )
    return pair


def measure(
    teacher: Network, student: Network, texts: Tensor, choices: Sequence[Layers]
) -> list[Mix]:
    """Each choice of layers, the first of which has none; printed as they come."""
    found: list[Mix] = []
    line = ProgressLine()
    for number, layers in enumerate(choices, 1):

        def tell(done: int, number: int = number) -> None:
            line.show(f"model {number} of {len(choices)}, text {done} of {len(texts)}")

        with mixed(teacher, student, layers) as model:
            value = perplexity(model, texts, tell)
        base = found[0].perplexity if found else value
        found.append(Mix(layers, value, value / base))
        print(f"{shown(layers):24} {value:10.2f} {value / base:8.3f}", flush=True)
    return found


def shown(layers: Layers) -> str:
    """The numbers of layers in words: "none", "0 2", "0-12 14"."""
    runs: list[list[int]] = []
    for i in layers:
        if runs and runs[-1][-1] == i - 1:
            runs[-1].append(i)
        else:
            runs.append([i])
    parts = [f"{r[0]}-{r[-1]}" if len(r) > 4 else " ".join(map(str, r)) for r in runs]
    return " ".join(parts) or "none"


def plot(found: list[Mix], title: str, path: Path) -> Path:
    """Each mix a point at its number of gain-cell layers; best and worst are named."""
    counts = sorted({len(mix.layers) for mix in found})
    groups = [[mix for mix in found if len(mix.layers) == n] for n in counts]
    best, worst = ([pick(g, key=lambda mix: mix.perplexity) for g in groups] for pick in (min, max))
    named = {*best, *worst} if len(counts) <= MOST + 1 else {*best[1:-1:5]}
    with plot_file(path, 6, 3.8) as figure:
        axes = figure.subplots()
        axes.plot(counts, [m.ratio_to_teacher for m in best], lw=1, color=POINTS)
        axes.plot([len(m.layers) for m in found], [m.ratio_to_teacher for m in found], "o", ms=4)
        for mix in named:
            if 0 < len(mix.layers) < counts[-1]:
                name, low = shown(mix.layers).replace(" ", ", "), mix in best
                place = {"xytext": (7, -9 if low else 3), "textcoords": "offset points"}
                axes.annotate(name, (len(mix.layers), mix.ratio_to_teacher), fontsize=7, **place)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="layers on gain cells (which ones: beside the points)")
        axes.set(ylabel="perplexity / teacher's", title=title)
        axes.grid(alpha=0.3)
    return path


def stage_model(path: Path, teacher: PreTrainedModel, spec: HardwareSpec) -> GainCellModel:
    """The student as the stage of `ml.adapt` in the file `path` left it, on the cell of `spec`.

    Raises ArtefactError, also where it is of another teacher or hardware.
    """
    if not path.exists():
        raise ArtefactError(f"{path}: no such file; `make adapt` leaves it in {path.parent}")
    tensors, about = load_stage(path, None)
    mixing = any(".mix_" in name for name in tensors)
    load_stage(path, origin_of(weights_sha256(teacher), spec, mixing=mixing))
    ranks = {len(x) for name, x in tensors.items() if name.endswith(UPDATES[1])}
    options = Options(mixing=mixing, mlp_rank=max(ranks, default=0), precision="float32")
    network = new_student(teacher, spec, str(about["stage"]), options)
    load_adapted(network, tensors, path)
    merge_low_rank(network)
    assert isinstance(network.model, GainCellModel)
    return network.model


def subject_of(options: argparse.Namespace, base: Found) -> tuple[Subject, dict[str, str], str]:
    """The adapted model, or its stage; the file of its weights; what a plot calls it."""
    stage: Path | None = options.stage
    if stage is None:
        subject = find_subject(options.model, options.spec)
        return subject, subject.weights, f"{subject.title}, as adapted"
    spec = find_spec(options.spec or DEFAULT_PRESET)
    model = evaluated(stage_model(stage, base.model, spec))
    subject = Subject(options.model, model, base.tokenizer)
    weights = {"file": stage.name, "sha256": sha256(stage)}
    return subject, weights, f"{subject.title}, stage {stage.stem}"


def main(argv: list[str] | None = None) -> int:
    """Command line of the mixed models."""
    options = _parser().parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.base is None and options.model not in NAMES:
        raise SettingError(
            f"base is missing: give the folder of the model that {options.model} was adapted from"
        )
    disable_progress_bar()  # of transformers, for loading
    base = find_base(options.base or options.model)
    subject, weights, title = subject_of(options, base)
    teacher, student = pair_of(base.model, subject.model)
    choices = choices_of(len(student.blocks), options.choice)
    texts = subject.texts(options.texts)
    print(f"{'layers on gain cells':24} {'perplexity':>10} {'/ teacher':>9}")
    found = measure(teacher, student, texts, choices)
    folder = options.out or subject.below(FOLDER)
    print(f"plot:   {plot(found, title, folder / 'mixed.png')}")
    record: dict[str, Any] = {
        **subject.spec.hashes,
        "preset": subject.spec.name,
        "sha256": {weights["file"]: weights["sha256"]},
        "tokens": texts[:, 1:].numel(),
        "attention": subject.attention,
        "rows": [mix._asdict() for mix in found],
        **provenance((*PACKAGES, "matplotlib")),
    }
    print(f"result: {write_json(folder / 'result.json', record)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ml.evaluate.mixed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", default=SHIPPED, help=MODEL_HELP)
    add("--base", help="folder that a model of your own was adapted from (of shipped, smollm2: it)")
    add("--stage", type=Path, metavar="FILE", help="stage of ml.adapt, in place of the end result")
    add("--choice", choices=CHOICES, help=f"of layers (all up to {FEW} layers, else prefix)")
    add("--spec", help="preset or JSON file of the hardware it was adapted to (its own)")
    add("--texts", type=natural(1), default=TEXTS, help=f"of at most {CONTEXT} tokens ({TEXTS})")
    add("--threads", type=natural(0, 1024), default=0, help="0: as torch chooses")
    add("--out", type=Path, help=f"folder ({FOLDER}; of another model than shipped: in it)")
    return parser


if __name__ == "__main__":
    run_command(main)
