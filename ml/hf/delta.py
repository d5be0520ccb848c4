"""An adapted model as a small file relative to the pretrained model that it came from.

    python -m ml.hf.delta pack BASE ADAPTED FILE
    python -m ml.hf.delta unpack BASE FILE FOLDER

The file holds what differs from the base: matrices as int8 with a half-precision scale per row, of
the difference to the base where that rounds less than the matrix itself, everything else in half
precision. Its header names the base by the SHA-256 of its weights and has the hardware.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from analog_models.errors import ArtefactError, run_command
from analog_models.spec import HardwareSpec, parse_spec
from ml.checkpoint import load_tensors, save_tensors
from ml.hf.convert import convert
from ml.hf.folders import load_base, load_converted
from ml.hf.models import GainCellModel

KIND, FORMAT = "delta", 1
LARGEST = 127  # of int8, symmetric
CODES, SCALE = ".codes", ".scale"


def weights_sha256(model: PreTrainedModel) -> str:
    """SHA-256 over name, type, shape and content of every parameter, tied ones once."""
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        tensor = parameter.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class Rows(NamedTuple):
    """A matrix in int8: codes [..., n], scale [...] in half precision."""

    codes: Tensor
    scale: Tensor

    @property
    def matrix(self) -> Tensor:
        """The matrix [..., n] in single precision."""
        return self.codes.float() * self.scale.float()[..., None]


def by_rows(x: Tensor) -> Rows:
    """Round x [..., n] to int8, each row as finely as its largest entry allows."""
    scale = (x.abs().amax(-1) / LARGEST).half()
    steps = torch.where(scale > 0, scale, 1).float()
    codes = (x / steps[..., None]).round().clamp(-LARGEST, LARGEST)
    return Rows((codes * (scale > 0)[..., None]).to(torch.int8), scale)


def pack(base: PreTrainedModel, adapted: GainCellModel) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a delta and its header."""
    own = dict(base.named_parameters())
    tensors: dict[str, Tensor] = {}
    relative: list[str] = []
    for name, parameter in adapted.named_parameters():
        new, old = parameter.detach().float(), own.get(name)
        old = None if old is None or old.shape != new.shape else old.detach().float()
        if old is not None and torch.equal(old, new):
            continue
        if not _has_rows(name, new):
            tensors[name] = new.half()
            continue
        rows = by_rows(new)
        if old is not None:
            difference = by_rows(new - old)
            if _error(difference.matrix, new - old) < _error(rows.matrix, new):
                rows = difference
                relative.append(name)
        tensors[name + CODES], tensors[name + SCALE] = rows
    return tensors, {
        "kind": KIND,
        "format": FORMAT,
        "base": {"model_type": base.config.model_type, "sha256": weights_sha256(base)},
        "model": {name: getattr(adapted.config, name) for name in ("stage", "mixing")},
        "spec": adapted.config.spec.to_tree(),
        "relative": relative,
        **adapted.config.spec.hashes,
    }


def save_delta(path: Path, base: PreTrainedModel, adapted: GainCellModel, **about: Any) -> int:
    """Write `adapted` relative to `base`; size of the file in bytes.

    about: more for the header, anything JSON can hold. Raises ArtefactError for a value that half
    precision cannot hold.
    """
    tensors, header = pack(base, adapted)
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ArtefactError(f"{path}: {name} has a value that half precision cannot hold")
    save_tensors(path, tensors, about | header)
    return path.stat().st_size


def load_delta(path: Path, base: PreTrainedModel) -> GainCellModel:
    """The adapted model of a delta, single precision, from the base that it was made from.

    Raises ArtefactError for a file that is damaged or no delta, and for another base.
    """
    tensors, header = load_tensors(path)
    spec = _check(path, header, base)
    model = convert(base, spec, **header["model"])
    parameters = dict(model.named_parameters())
    for name in {name.removesuffix(CODES).removesuffix(SCALE) for name in tensors}:
        if name not in parameters:
            raise ArtefactError(f"{path}: tensor {name} is none of the model's")
        new = tensors.get(name)
        if new is None:
            if name + CODES not in tensors or name + SCALE not in tensors:
                raise ArtefactError(f"{path}: tensor {name} lacks its codes or its scale")
            new = Rows(tensors[name + CODES], tensors[name + SCALE]).matrix
        own = parameters[name].data
        if new.shape != own.shape:
            shapes = f"{tuple(new.shape)}, expected {tuple(own.shape)}"
            raise ArtefactError(f"{path}: tensor {name} has shape {shapes}")
        own.copy_(own + new if name in header["relative"] else new)
    return model


def _has_rows(name: str, x: Tensor) -> bool:
    """Whether x is a matrix, or one a head; scales and offsets [head, channel] are none."""
    return x.dim() == 3 if ".heads." in name else x.dim() == 2


def _error(rounded: Tensor, exact: Tensor) -> float:
    return float((rounded - exact).square().sum())


def _check(path: Path, header: dict[str, Any], base: PreTrainedModel) -> HardwareSpec:
    """The specification in the header of a delta that fits `base`."""
    if header.get("kind") != KIND or header.get("format") != FORMAT:
        found = f"{header.get('kind')!r} of format {header.get('format')!r}"
        raise ArtefactError(f"{path}: is {found}, expected {KIND!r} of format {FORMAT}")
    try:
        spec = parse_spec(json.dumps(header["spec"]), str(path))
        wanted, needed = header["base"]["sha256"], ("stage", "mixing")
        complete = all(name in header["model"] for name in needed) and "relative" in header
    except (KeyError, TypeError) as error:
        raise ArtefactError(f"{path}: header has no entry {error}") from error
    if not complete:
        raise ArtefactError(f"{path}: header lacks stage, mixing or relative")
    found = weights_sha256(base)
    if found != wanted:
        raise ArtefactError(
            f"{path}: belongs to base weights of SHA-256 {wanted[:12]}…, but those given have "
            f"{found[:12]}…; take the model that was adapted, in the precision it was loaded in"
        )
    return spec


def main(argv: list[str] | None = None) -> int:
    """Command line: make a delta, or the model that it describes."""
    parser = argparse.ArgumentParser(
        prog="ml.hf.delta",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="write a delta")
    packing.add_argument("base", type=Path, help="folder of the pretrained model")
    packing.add_argument("adapted", type=Path, help="folder of the adapted model")
    packing.add_argument("file", type=Path, help="delta to write")
    unpacking = commands.add_parser("unpack", help="write the model of a delta")
    unpacking.add_argument("base", type=Path, help="folder of the pretrained model")
    unpacking.add_argument("file", type=Path, help="delta to read")
    unpacking.add_argument("folder", type=Path, help="folder to write")
    options = parser.parse_args(argv)
    base = load_base(options.base)
    if options.command == "pack":
        size = save_delta(options.file, base, load_converted(options.adapted))
        print(f"wrote {options.file}: {size / 1e6:.1f} MB")
    else:
        load_delta(options.file, base).save_pretrained(options.folder)
        print(f"wrote {options.folder}")
    return 0


if __name__ == "__main__":
    run_command(main)
