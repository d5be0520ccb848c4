"""Golden vectors of a converted or adapted model, for the co-simulation.

    python -m ml.evaluate.golden --model FOLDER [--text FILE] [--layers N N ...] --folder FOLDER
    python -m cosim.sim --golden FOLDER

passage  heads of the chosen layers on one text that starts with the window flushed; keys and values
         once for all query heads that share them
wrap     one head fed without a flush, long enough for the window to wrap

Codes are computed in double precision, so that they do not depend on the order of sums.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analog_models.spec import HardwareSpec
from common.arguments import integer
from common.errors import ArtefactError, run_command
from common.files import sha256, write_json
from common.provenance import provenance
from ml.attention.backend import Codes, Recording
from ml.attention.exact import exact_attention
from ml.attention.heads import using
from ml.errors import SettingError
from ml.finite import finite_outputs
from ml.models.families import GainCellModel, heads_of
from ml.models.folders import load_converted, load_tokenizer
from ml.models.shipped import PACKAGES
from ml.small.golden import PASSAGE_TOKENS, as_integers, liveliest_head, write_vectors
from ml.train import heldout, tokenizer
from ml.train.text import check_ids, token_ids

FOLDER = Path("build/hf-golden")
WRAP_WINDOWS = 1.25  # tokens of the wrap, in windows
SOURCE = "shakespeare"  # of the held-out text, where none is given


@torch.no_grad()
def codes_of(model: GainCellModel, ids: Tensor) -> tuple[Codes, Tensor]:
    """Codes of every layer and predicted ids, for ids [T] from an empty window.

    q and out: [layer, Hq, T, D], k and v: [layer, Hkv, T, D], float64. Raises ModelError where a
    value is not finite, and names the layer.
    """
    recording = Recording()
    with using(model, recording), finite_outputs(model):
        predicted = model(ids[None], use_cache=False).logits[0].argmax(-1)
    return recording.by_layer(), predicted


def chosen_layers(count: int, layers: list[int] | None) -> list[int]:
    """The layers of a model of `count` to write; None: all. Raises SettingError."""
    for layer in layers or []:
        if not 0 <= layer < count:
            raise SettingError(f"layers has {layer}, must be 0 to {count - 1}")
    return sorted(set(layers)) if layers else list(range(count))


def make_wrap(model: GainCellModel, ids: Tensor, layer: int, head: int) -> dict[str, Tensor]:
    """One head over the tokens [N], in texts as long as the model takes, fed as one stream."""
    spec = model.config.spec
    heads = heads_of(model)[layer]
    shared = head // (heads.query_heads // heads.kv_heads)
    parts = [codes_of(model, text)[0] for text in ids.split(longest_text(model))]
    q = torch.cat([part.q[layer, head] for part in parts])
    k, v = (torch.cat([getattr(p, name)[layer, shared] for p in parts]) for name in "kv")
    out = exact_attention(spec, q[None], k[None], v[None])[0]
    return as_integers(Codes(q, k, v, out)) | {"tokens": ids.int()}


def longest_text(model: GainCellModel) -> int:
    """Tokens that the model's positions reach."""
    return int(model.config.max_position_embeddings)


def wrap_tokens(spec: HardwareSpec) -> int:
    """Tokens of the wrap."""
    return int(WRAP_WINDOWS * spec.geometry.window)


def write_golden(
    model: GainCellModel, bpe: Any, ids: Tensor, folder: Path, layers: list[int] | None = None
) -> dict[str, Any]:
    """Write passage and wrap for the token ids [N] of a text; what their manifest begins with.

    bpe: has `decode(ids)`. Raises SettingError for a text that is too short and for a layer that
    is not there.
    """
    spec = model.config.spec
    needed = wrap_tokens(spec)
    if len(ids) < needed:
        raise SettingError(f"text has {len(ids)} tokens, must have {needed} or more")
    chosen = chosen_layers(len(heads_of(model)), layers)
    model = model.double()
    first = ids[: min(PASSAGE_TOKENS, spec.geometry.window, longest_text(model))]
    codes, predicted = codes_of(model, first)
    codes = Codes(*(signal[chosen] for signal in codes))
    liveliest, head = liveliest_head(codes.out)
    layer = chosen[liveliest]
    files = {
        "passage.safetensors": as_integers(codes)
        | {"tokens": first.int(), "predicted": predicted.int()},
        "wrap.safetensors": make_wrap(model, ids[:needed], layer, head),
    }
    manifest = write_vectors(spec, files, bpe, folder)
    texts_of = min(longest_text(model), needed)
    manifest["files"]["passage.safetensors"]["layers"] = chosen
    manifest["files"]["wrap.safetensors"] |= {"layer": layer, "head": head, "texts_of": texts_of}
    return manifest | {"model": {"type": model.config.model_type, "stage": model.config.stage}}


def text_of(path: Path | None) -> tuple[str, str]:
    """A text and what it is: the file, or the project's held-out text. Raises ArtefactError."""
    if path is None:
        ids = heldout.load()[SOURCE].tolist()
        return tokenizer.load().decode(ids), f"held-out split of {SOURCE}"
    try:
        return path.read_text("utf-8"), str(path)
    except UnicodeDecodeError as error:
        raise ArtefactError(f"{path}: not UTF-8 text") from error


def main(argv: list[str] | None = None) -> int:
    """Command line: write the golden vectors of a model."""
    parser = argparse.ArgumentParser(
        prog="ml.evaluate.golden",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, help="folder of the converted or adapted model")
    add("--tokenizer", type=Path, help="folder of its tokenizer, if that is another one")
    add("--text", type=Path, help="UTF-8 file (the project's held-out Shakespeare)")
    add("--layers", type=integer, nargs="+", metavar="N", help="layers of the passage (all)")
    add("--folder", type=Path, default=FOLDER, help=f"where to write ({FOLDER})")
    options = parser.parse_args(argv)
    bpe: Any = load_tokenizer(options.tokenizer or options.model)
    model = load_converted(options.model)
    text, source = text_of(options.text)
    ids = torch.tensor(token_ids(bpe, text, special=True))
    check_ids(ids, bpe, model)
    manifest = write_golden(model, bpe, ids, options.folder, options.layers)
    manifest |= {
        "checkpoint": {
            "file": str(options.model),
            "sha256": {p.name: sha256(p) for p in sorted(options.model.glob("*.safetensors"))},
        },
        "source": source,
        **provenance((*PACKAGES, "transformers")),
    }
    write_json(options.folder / "manifest.json", manifest)
    print(f"wrote {', '.join(manifest['files'])} and manifest.json to {options.folder}")
    print(f"next: python -m cosim.sim --golden {options.folder}")
    return 0


if __name__ == "__main__":
    run_command(main)
