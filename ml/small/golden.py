"""Golden vectors: the codes of the adapted model's attention on held-out text.

passage  every layer and head on one text that starts with the window flushed
wrap     one head fed without a flush, long enough for the window to wrap

Codes come from the exact path in double precision, so they do not depend on the order of sums.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analog_models.head import GoldenHead
from analog_models.spec import DEFAULT_PRESET, HardwareSpec, find_spec
from common.errors import run_command
from common.files import sha256, write_json
from common.provenance import provenance
from ml.checkpoint import save_tensors
from ml.errors import SettingError
from ml.finite import finite_outputs
from ml.models.shipped import ADAPTED, PACKAGES
from ml.small.hardware_attention import Codes, attention_layers
from ml.small.model import LanguageModel, blocks
from ml.small.shipped import digest, load_adapted
from ml.train import heldout, tokenizer

GOLDEN = Path(__file__).parents[1] / "golden"
PASSAGE_TOKENS = 128
WRAP_TOKENS = 1280
CODE_TYPES = {"q": torch.uint8, "k": torch.uint8, "v": torch.uint8, "out": torch.int16}


@torch.no_grad()
def codes_of(model: LanguageModel, ids: Tensor) -> tuple[Codes, Tensor]:
    """Codes of every layer and head, [layer, head, token, D], and predicted ids, for ids [T].

    Raises ModelError where a value is not finite, and names the layer.
    """
    x, layers = model.hidden(ids[None]), []
    with finite_outputs(model):
        for block, layer in zip(blocks(model), attention_layers(model), strict=True):
            x, normed = block(x), block.norm_attention(x)
            layers.append([signal[0] for signal in layer.codes(normed)])
        predicted = (model.norm(x) @ model.tokens.weight.T).argmax(-1)[0]
    return Codes(*(torch.stack(signal) for signal in zip(*layers, strict=True))), predicted


def as_integers(codes: Codes) -> dict[str, Tensor]:
    """Codes in the integer types of the golden files."""
    return {name: getattr(codes, name).to(kind) for name, kind in CODE_TYPES.items()}


def liveliest_head(out: Tensor) -> tuple[int, int]:
    """Layer and head whose output codes [layer, head, token, D] vary most over the tokens."""
    flat = int(out.std(-2).mean(-1).argmax())
    return flat // out.shape[1], flat % out.shape[1]


def make_passage(model: LanguageModel, ids: Tensor) -> dict[str, Tensor]:
    """Golden tensors of one text [T]: codes of all heads, token ids, predicted next ids."""
    codes, predicted = codes_of(model, ids)
    return as_integers(codes) | {"tokens": ids.int(), "predicted": predicted.int()}


def make_wrap(
    model: LanguageModel, spec: HardwareSpec, ids: Tensor, layer: int, head: int
) -> dict[str, Tensor]:
    """Golden tensors of one head over consecutive texts [n, T], fed to it as one stream."""
    parts = [codes_of(model, text)[0] for text in ids]
    q, k, v = (torch.cat([getattr(p, name)[layer, head] for p in parts]) for name in "qkv")
    out = GoldenHead(spec, xp=torch).run(q, k, v)
    return as_integers(Codes(q, k, v, out)) | {"tokens": ids.flatten().int()}


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


def write_golden(spec: HardwareSpec, checkpoint: Path, source: str, folder: Path) -> None:
    """Compute and write all golden files and their manifest. Raises ArtefactError, SettingError."""
    model, bpe, texts = load_adapted(spec, checkpoint), tokenizer.load(), heldout.load()
    if source not in texts:
        raise SettingError(f"source is {source!r}, must be one of {', '.join(sorted(texts))}")
    context, ids = model.config.context, texts[source]
    passage = make_passage(model, ids[:PASSAGE_TOKENS])
    layer, head = liveliest_head(passage["out"].double())
    stream = ids[:WRAP_TOKENS].view(-1, context)
    wrap = make_wrap(model, spec, stream, layer, head)
    files = {"passage.safetensors": passage, "wrap.safetensors": wrap}
    manifest = write_vectors(spec, files, bpe, folder)
    manifest["files"]["wrap.safetensors"] |= {"layer": layer, "head": head, "texts_of": context}
    manifest |= {
        "checkpoint": {"file": checkpoint.name, "sha256": digest(checkpoint)},
        "source": f"held-out split of {source}",
        **provenance(PACKAGES),
    }
    write_json(folder / "manifest.json", manifest)
    print(
        f"wrote {', '.join(files)} and manifest.json to {folder}; wrap: layer {layer} head {head}"
    )


def main(argv: list[str] | None = None) -> int:
    """Command line: write the golden vectors anew."""
    parser = argparse.ArgumentParser(
        prog="ml.small.golden",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--spec", default=DEFAULT_PRESET, help="hardware: a preset or a JSON file")
    parser.add_argument("--adapted", type=Path, default=ADAPTED, help="checkpoint")
    parser.add_argument("--source", default="shakespeare", help="of the held-out text")
    parser.add_argument("--folder", type=Path, default=GOLDEN, help="where to write")
    options = parser.parse_args(argv)
    write_golden(find_spec(options.spec), options.adapted, options.source, options.folder)
    return 0


if __name__ == "__main__":
    run_command(main)
