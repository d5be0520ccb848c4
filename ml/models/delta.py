"""An adapted model as a small file relative to the pretrained model that it came from.

    python -m ml.models.delta pack BASE ADAPTED FILE
    python -m ml.models.delta unpack BASE FILE FOLDER

The file holds what differs from the base: matrices as int8 with a half-precision scale per row, of
the difference to the base where that rounds less than the matrix itself, everything else in half
precision. Its header names the base by the SHA-256 of its weights and has the hardware.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from analog_models.spec import HardwareSpec, parse_spec
from common.errors import ArtefactError, readable, run_command, shown
from common.records import Record
from ml.checkpoint import fitted, load_tensors, save_tensors
from ml.errors import ModelError
from ml.finite import is_finite
from ml.models.convert import OWN_TENSORS, convert
from ml.models.families import FAMILIES, GainCellModel
from ml.models.folders import load_base, load_converted
from ml.models.weights import check_values

KIND, FORMAT = "delta", 1
LARGEST = 127  # of int8, symmetric
CODES, SCALE = ".codes", ".scale"


class Base(Record):
    """The model that a delta is relative to."""

    model_type: str
    sha256: str


class Model(Record):
    """What `convert` needs beside the specification."""

    stage: Literal["linear", "cubic"]
    mixing: bool


class Header(Record):
    """What a delta says of itself. `relative`: matrices that are differences to the base."""

    kind: Literal["delta"]
    format: Literal[1]
    base: Base
    model: Model
    spec: dict[str, Any]
    codes_hash: str
    relative: list[str]


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
    """The tensors of a delta and its header. Raises ModelError for models of different kinds."""
    own, new_names = dict(base.named_parameters()), {n for n, _ in adapted.named_parameters()}
    for name in sorted(own.keys() ^ new_names):
        if name in own or not any(part in name for part in OWN_TENSORS):
            raise ModelError(f"tensor {name} is in the base or in the adapted model, not in both")
    if FAMILIES.get(type(base)) is not type(adapted):
        raise ModelError(f"{type(adapted).__name__} does not come from {type(base).__name__}")
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
        if not is_finite(tensor):
            raise ArtefactError(f"{path}: {name} has a value that half precision cannot hold")
    save_tensors(path, tensors, about | header)
    return path.stat().st_size


def load_delta(path: Path, base: PreTrainedModel) -> GainCellModel:
    """The adapted model of a delta, single precision, from the base that it was made from.

    Raises ArtefactError for a file that is damaged or no delta, and for another base; SpecError for
    its specification.
    """
    tensors, about = load_tensors(path)
    header, spec = _check(path, about, base)
    model = convert(base, spec, header.model.stage, header.model.mixing)
    parameters = dict(model.named_parameters())
    old = {name for name, p in base.named_parameters() if p.shape == parameters[name].shape}
    matrices = {name.removesuffix(CODES) for name in tensors if name.endswith(CODES)}
    if odd := sorted(set(header.relative) - (matrices & old)):
        raise ArtefactError(f"{path}: relative = {shown(odd)}: must be matrices of the base")
    given = {name.removesuffix(CODES).removesuffix(SCALE) for name in tensors}
    changed = (given & parameters.keys()) | (parameters.keys() - old)
    tensors = fitted(tensors, _as_stored(parameters, changed, matrices, set(tensors)), path)
    for name in changed:
        own, new = parameters[name].data, tensors.get(name)
        if new is None:
            new = Rows(tensors[name + CODES], tensors[name + SCALE]).matrix
        own.copy_(own + new if name in header.relative else new)
    check_values(path, model)
    return model


def _as_stored(
    parameters: dict[str, nn.Parameter], changed: set[str], matrices: set[str], there: set[str]
) -> dict[str, Tensor]:
    """Tensors as a delta has them for the parameters `changed`, of which `matrices` are rounded."""
    own: dict[str, Tensor] = {}
    for name in changed:
        like = parameters[name].detach()
        if name in matrices or name + SCALE in there:
            own[name + CODES] = like.to(torch.int8)
            own[name + SCALE] = like.new_empty(like.shape[:-1], dtype=torch.float32)
        else:
            own[name] = like
    return own


def _has_rows(name: str, x: Tensor) -> bool:
    """Whether x is a matrix, or one a head; scales and offsets [head, channel] are none."""
    return x.dim() == 3 if ".heads." in name else x.dim() == 2


def _error(rounded: Tensor, exact: Tensor) -> float:
    return float((rounded - exact).square().sum())


def _check(path: Path, about: dict[str, Any], base: PreTrainedModel) -> tuple[Header, HardwareSpec]:
    """Header and specification of a delta that fits `base`."""
    header = Header.of(about, path)
    spec = parse_spec(json.dumps(header.spec), str(path))
    if spec.codes_hash != header.codes_hash:
        raise ArtefactError(
            f"{path}: its specification has codes {spec.codes_hash}, but the delta was made for "
            f"{readable(header.codes_hash)}"
        )
    found, wanted = weights_sha256(base), header.base.sha256
    if found != wanted:
        raise ArtefactError(
            f"{path}: belongs to base weights of SHA-256 {readable(wanted[:12])}…, but those given "
            f"have {found[:12]}…; take the model that was adapted, in the precision that it had"
        )
    return header, spec


def main(argv: list[str] | None = None) -> int:
    """Command line: make a delta, or the model that it describes."""
    parser = argparse.ArgumentParser(
        prog="ml.models.delta",
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
