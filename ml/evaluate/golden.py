"""Golden vectors: the codes of an adapted model's attention on a text, for the co-simulation.

    python -m ml.evaluate.golden [--model NAME] [--text FILE] [--layers N N ...] [--folder FOLDER]
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
from transformers.utils.logging import disable_progress_bar

from analog_models.spec import HardwareSpec
from analog_models.spec.golden_format import GOLDEN, PASSAGE, WRAP
from common.arguments import integer
from common.errors import ArtefactError, run_command
from common.files import sha256, write_json
from common.provenance import provenance
from ml.attention.backend import Codes, Recording
from ml.attention.exact import exact_attention
from ml.attention.heads import using
from ml.checkpoint import save_tensors
from ml.errors import SettingError
from ml.evaluate.subject import MODEL_HELP, Subject
from ml.finite import finite_outputs
from ml.models.families import GainCellModel, heads_of
from ml.models.folders import load_tokenizer
from ml.models.shipped import PACKAGES, SHIPPED, find_model
from ml.train import heldout, tokenizer
from ml.train.own_text import check_ids, token_ids

FOLDER = Path("build/golden")
PASSAGE_TOKENS = 128
WRAP_WINDOWS = 1.25  # tokens of the wrap, in windows
SOURCE = "shakespeare"  # of the held-out text, where none is given
CODE_TYPES = {"q": torch.uint8, "k": torch.uint8, "v": torch.uint8, "out": torch.int16}


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


def as_integers(codes: Codes) -> dict[str, Tensor]:
    """Codes in the integer types of the golden files."""
    return {name: getattr(codes, name).to(kind) for name, kind in CODE_TYPES.items()}


def liveliest_head(out: Tensor) -> tuple[int, int]:
    """Layer and head whose output codes [layer, head, token, D] vary most over the tokens."""
    flat = int(out.std(-2).mean(-1).argmax())
    return flat // out.shape[1], flat % out.shape[1]


def describe_file(path: Path, tensors: dict[str, Tensor], bpe: Any) -> dict[str, Any]:
    """The manifest's entry of one golden file. bpe: has `decode(ids)`."""
    texts = {"strings": "tokens", "predicted_strings": "predicted"}
    return {
        "sha256": sha256(path),
        "tensors": {
            name: {"shape": list(t.shape), "dtype": str(t.dtype).removeprefix("torch.")}
            for name, t in tensors.items()
        },
        "tokens": tensors["tokens"].tolist(),
        **{
            key: [bpe.decode([i]) for i in tensors[name].tolist()]
            for key, name in texts.items()
            if name in tensors
        },
    }


def write_vectors(
    spec: HardwareSpec, files: dict[str, dict[str, Tensor]], bpe: Any, folder: Path
) -> dict[str, Any]:
    """Write golden files, tensors by name of the file; what their manifest begins with."""
    for name, tensors in files.items():
        save_tensors(folder / name, tensors, {"kind": "golden", **spec.hashes})
    return {
        **spec.hashes,
        "preset": spec.name,
        "window": spec.geometry.window,
        "files": {name: describe_file(folder / name, t, bpe) for name, t in files.items()},
    }


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
        PASSAGE: as_integers(codes) | {"tokens": first.int(), "predicted": predicted.int()},
        WRAP: make_wrap(model, ids[:needed], layer, head),
    }
    manifest = write_vectors(spec, files, bpe, folder)
    texts_of = min(longest_text(model), needed)
    manifest["files"][PASSAGE]["layers"] = chosen
    manifest["files"][WRAP] |= {"layer": layer, "head": head, "texts_of": texts_of}
    return manifest | {"model": {"type": model.config.model_type, "stage": model.config.stage}}


def text_of(path: Path | None, source: str = SOURCE) -> tuple[str, str]:
    """A text and what it is: the file, or a source of the project's held-out text.

    Raises ArtefactError for a file that is not UTF-8, SettingError for a source that is none.
    """
    if path is None:
        texts = heldout.load()
        if source not in texts:
            raise SettingError(f"source is {source!r}, must be one of {', '.join(sorted(texts))}")
        return tokenizer.load().decode(texts[source].tolist()), f"held-out split of {source}"
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
    add("--model", default=SHIPPED, help=MODEL_HELP)
    add("--tokenizer", type=Path, help="folder of its tokenizer, if that is another one")
    add("--text", type=Path, help="UTF-8 file (the project's held-out text)")
    add("--source", default=SOURCE, help=f"of the held-out text ({SOURCE})")
    add("--layers", type=integer, nargs="+", metavar="N", help="layers of the passage (all)")
    add("--folder", type=Path, help=f"where to write (shipped: {GOLDEN.name} of ml; {FOLDER}/NAME)")
    options = parser.parse_args(argv)
    disable_progress_bar()  # of transformers, for loading
    text, source = text_of(options.text, options.source)
    subject = Subject(options.model, *find_model(options.model))
    bpe: Any = load_tokenizer(options.tokenizer) if options.tokenizer else subject.tokenizer
    ids = torch.tensor(token_ids(bpe, text, special=True))
    check_ids(ids, bpe, subject.model)
    folder = options.folder or (GOLDEN if options.model == SHIPPED else subject.below(FOLDER))
    manifest = write_golden(subject.model, bpe, ids, folder, options.layers)
    manifest |= {"checkpoint": subject.weights, "source": source, **provenance(PACKAGES)}
    write_json(folder / "manifest.json", manifest)
    wrap = manifest["files"][WRAP]
    print(f"wrote {', '.join(manifest['files'])} and manifest.json to {folder}")
    print(f"wrap: layer {wrap['layer']} head {wrap['head']}")
    print(f"next: python -m cosim.sim --golden {folder}")
    return 0


if __name__ == "__main__":
    run_command(main)
