"""Perplexity of every stage of the adaptation, on the same held-out text.

The hardware is evaluated exactly: integer codes, the cubic cell, leakage, every sub-tile counted;
in double precision. Intermediate stages are read from build/adapt, where ml.adapt leaves them.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analog_models.errors import ArtefactError, run_command
from analog_models.files import sha256, write_json, write_text
from analog_models.provenance import provenance
from analog_models.spec import HardwareSpec, load_preset
from ml import heldout
from ml.checkpoint import load_tensors, load_weights
from ml.hardware_attention import on_hardware
from ml.model import LanguageModel, ZeroAttention, blocks
from ml.model_card import model_card
from ml.perplexity import perplexity, texts_of
from ml.shipped import ADAPTED, CHECKPOINTS, PACKAGES, TEACHER, load_adapted, load_teacher

EVALUATION_FILE = CHECKPOINTS / "evaluation.json"
CARD_FILE = Path(__file__).parent / "MODEL_CARD.md"


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


def stage(path: Path, teacher: LanguageModel, spec: HardwareSpec) -> LanguageModel:
    """A finished stage of ml.adapt on the cell of `spec`. Raises ArtefactError."""
    model = LanguageModel(teacher.config, on_hardware(spec, scaled=True))
    tensors, _ = load_tensors(path)
    load_weights(model, tensors, path)
    return model.double()


def stages(
    teacher: Path, adapted: Path, folder: Path, spec: HardwareSpec
) -> Iterator[tuple[str, Callable[[], LanguageModel]]]:
    """Name of each stage, in order, and how to get its model."""
    linear = spec.linearised()
    soft = load_teacher(teacher).double()

    def from_file(name: str, cell: HardwareSpec) -> Callable[[], LanguageModel]:
        return lambda: stage(folder / f"{name}.safetensors", soft, cell)

    yield "teacher", lambda: soft
    yield "teacher, attention zero", lambda: without_attention(load_teacher(teacher).double())
    yield "naive swap", lambda: naive_swap(soft, spec)
    yield "linear, statistics only", from_file("init", linear)
    yield "linear, layer-wise", from_file("layerwise", linear)
    yield "linear, adapted", from_file("linear", linear)
    yield "cubic, before matching", from_file("linear", spec)
    yield "cubic, matched", from_file("matched", spec)
    yield "cubic, adapted", lambda: load_adapted(spec, adapted)
    yield "cubic, attention zero", lambda: without_attention(load_adapted(spec, adapted))


def evaluate(
    options: argparse.Namespace, spec: HardwareSpec, texts: Tensor
) -> dict[str, float | None]:
    """Perplexity of each stage on `texts` [n, T + 1], printed as they come; None: no such file."""
    rows: dict[str, float | None] = {}
    for name, make in stages(options.teacher, options.adapted, options.folder, spec):
        try:
            rows[name] = perplexity(make(), texts)
        except ArtefactError:
            if name in ("teacher", "cubic, adapted") or options.card:
                raise
            rows[name] = None
        value, base = rows[name], rows["teacher"]
        assert base is not None
        shown = "     no file" if value is None else f"{value:12.2f}  {value / base:8.3f}"
        print(f"{name:26}{shown}", flush=True)
    return rows


def main(argv: list[str] | None = None) -> int:
    """Command line of the evaluation."""
    parser = argparse.ArgumentParser(prog="ml.evaluate", description=__doc__)
    parser.add_argument("--preset", default="leroux2025", help="hardware specification")
    parser.add_argument("--texts", type=int, default=128, help="texts of 256 tokens, at most")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    parser.add_argument("--teacher", type=Path, default=TEACHER)
    parser.add_argument("--adapted", type=Path, default=ADAPTED)
    parser.add_argument("--folder", type=Path, default=Path("build/adapt"), help="stage files")
    parser.add_argument("--out", type=Path, default=Path("build/evaluation.json"))
    parser.add_argument(
        "--card", action="store_true", help="write the shipped evaluation and model card anew"
    )
    options = parser.parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    spec = load_preset(options.preset)
    context = load_teacher(options.teacher).config.context
    texts = texts_of(heldout.load_joined(), context, options.texts)
    print(f"{'stage':26}{'perplexity':>12}  {'/teacher':>8}   {texts[:, 1:].numel()} tokens")
    rows = evaluate(options, spec, texts)
    record = describe(options, spec, texts, rows)
    write_json(options.out, record)
    if options.card:
        write_json(EVALUATION_FILE, record)
        write_text(CARD_FILE, model_card(record))
    return 0


def describe(
    options: argparse.Namespace, spec: HardwareSpec, texts: Tensor, rows: dict[str, float | None]
) -> dict[str, Any]:
    """The record of an evaluation: everything the model card is made from."""
    return {
        **spec.hashes,
        "preset": spec.name,
        "tokens": texts[:, 1:].numel(),
        "perplexity": rows,
        "teacher": load_tensors(options.teacher)[1]["run"],
        "adapted": load_tensors(options.adapted)[1]["run"],
        "sha256": {path.name: sha256(path) for path in (options.teacher, options.adapted)},
        **provenance(PACKAGES),
    }


if __name__ == "__main__":
    run_command(main)
