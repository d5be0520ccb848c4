"""Perplexity of models of which some layers run on gain cells and the others keep softmax.

    python -m ml.evaluate.mixed [--texts N]

The gain-cell layers are those of stage `layerwise` of `ml.small.adapt`: each has learned one layer
of the teacher, nothing else has changed, so every choice of layers is a model. Every choice is
measured.
"""

import argparse
from copy import deepcopy
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from analog_models.spec import DEFAULT_PRESET, HardwareSpec, find_spec
from common.arguments import natural
from common.errors import ArtefactError, run_command
from common.files import write_json
from common.provenance import provenance
from ml.attention.surrogate import SurrogateOps
from ml.evaluate.perplexity import perplexity, texts_of
from ml.evaluate.sensitivity_plots import POINTS
from ml.models.shipped import PACKAGES, TEACHER
from ml.small.model import LanguageModel, blocks
from ml.small.shipped import digest, load_scaled, load_teacher
from ml.small.stages import origin_of
from ml.train import heldout

STAGE = Path("build/adapt/layerwise.safetensors")
FOLDER = Path("build/mixed")
TEXTS = 64


class Mix(NamedTuple):
    """The layers on gain cells, from 0, and what the model with them gives."""

    layers: tuple[int, ...]
    perplexity: float
    ratio_to_teacher: float


def mixed(teacher: LanguageModel, student: LanguageModel, layers: tuple[int, ...]) -> LanguageModel:
    """`teacher` with the attention of `layers` from `student`; both stay as they are."""
    model = deepcopy(teacher)
    for i in layers:
        blocks(model)[i].attention = blocks(student)[i].attention
    return model


def measure(teacher: LanguageModel, student: LanguageModel, texts: Tensor) -> list[Mix]:
    """Every choice of layers, the teacher itself first; printed as they come."""
    depth = teacher.config.layers
    found: list[Mix] = []
    for layers in (c for n in range(depth + 1) for c in combinations(range(depth), n)):
        value = perplexity(mixed(teacher, student, layers), texts)
        base = found[0].perplexity if found else value
        found.append(Mix(layers, value, value / base))
        name = " ".join(map(str, layers)) or "none"
        print(f"{name:24} {value:10.2f} {value / base:8.3f}", flush=True)
    return found


def plot(found: list[Mix], path: Path) -> Path:
    """Each mix a point at its number of gain-cell layers; best and worst are named."""
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    counts = sorted({len(mix.layers) for mix in found})
    groups = [[mix for mix in found if len(mix.layers) == n] for n in counts]
    best, worst = ([pick(g, key=lambda mix: mix.perplexity) for g in groups] for pick in (min, max))
    axes.plot(counts, [m.ratio_to_teacher for m in best], lw=1, color=POINTS)
    axes.plot([len(m.layers) for m in found], [m.ratio_to_teacher for m in found], "o", ms=4)
    for mix in {*best, *worst}:
        if 0 < len(mix.layers) < counts[-1]:
            name, low = ", ".join(map(str, mix.layers)), mix in best
            place = {"xytext": (7, -9 if low else 3), "textcoords": "offset points"}
            axes.annotate(name, (len(mix.layers), mix.ratio_to_teacher), fontsize=7, **place)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="layers on gain cells (which ones: beside the points)")
    axes.set(ylabel="perplexity / teacher's", title="Layer-wise stage, nothing trained end to end")
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def load_layerwise(
    path: Path, teacher: LanguageModel, spec: HardwareSpec, origin: str
) -> LanguageModel:
    """Stage `layerwise` on the linear cell of `spec`, single precision.

    Raises ArtefactError, also where it is of another `origin`: another teacher or hardware.
    """
    if not path.exists():
        raise ArtefactError(f"{path}: no such file; `make adapt` leaves it in build/adapt")
    return load_scaled(path, teacher, spec.linearised(), origin, SurrogateOps())


def main(argv: list[str] | None = None) -> int:
    """Command line of the mixed models."""
    options = _parser().parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    spec, teacher = find_spec(options.spec), load_teacher(options.teacher)
    origin = origin_of(digest(options.teacher), spec)
    student, spec = load_layerwise(options.stage, teacher, spec, origin), spec.linearised()
    texts = texts_of(heldout.load_joined(), teacher.config.context, options.texts)
    print(f"{'layers on gain cells':24} {'perplexity':>10} {'/ teacher':>9}")
    found = measure(teacher, student, texts)
    print(f"plot:   {plot(found, options.out / 'mixed.png')}")
    record: dict[str, Any] = {
        **spec.hashes,
        "preset": spec.name,
        "sha256": {path.name: digest(path) for path in (options.teacher, options.stage)},
        "tokens": texts[:, 1:].numel(),
        "rows": [mix._asdict() for mix in found],
        **provenance((*PACKAGES, "matplotlib")),
    }
    print(f"result: {write_json(options.out / 'result.json', record)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ml.evaluate.mixed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--spec", default=DEFAULT_PRESET, help="hardware: a preset or a JSON file; its linear cell")
    add("--texts", type=natural(1), default=TEXTS, help=f"texts of 256 tokens ({TEXTS})")
    add("--threads", type=natural(0, 1024), default=0, help="0: as torch chooses")
    add("--teacher", type=Path, default=TEACHER)
    add("--stage", type=Path, default=STAGE, help=f"({STAGE})")
    add("--out", type=Path, default=FOLDER, help=f"folder ({FOLDER})")
    return parser


if __name__ == "__main__":
    run_command(main)
