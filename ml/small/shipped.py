"""The shipped folders as models of `ml.small`."""

from pathlib import Path
from typing import Any

from torch import Tensor

from analog_models.physics import EXACT, Ops
from analog_models.spec import HardwareSpec
from common.errors import ArtefactError, shown
from common.files import read_json, sha256
from ml.adapt.stage_files import load_stage
from ml.checkpoint import load_tensors, load_weights
from ml.models.config_file import check_folder
from ml.models.folders import load_converted
from ml.models.shipped import ADAPTED, RUN, TEACHER, WEIGHTS
from ml.small.hardware_attention import on_hardware
from ml.small.model import LanguageModel, ModelConfig

__all__ = ["load_adapted", "load_scaled", "load_teacher", "load_trained_on"]
PARTS = {
    "attn.c_attn": "attention.qkv",
    "attn.c_proj": "attention.proj",
    "mlp.c_fc": "feed_forward.up",
    "mlp.c_proj": "feed_forward.down",
    "ln_1": "norm_attention",
    "ln_2": "norm_feed_forward",
}
OTHERS = {"wte": "tokens", "wpe": "positions", "ln_f": "norm"}


def digest(path: Path) -> str:
    """SHA-256 of the weights of a folder, or of a file."""
    return sha256(path / WEIGHTS if path.is_dir() else path)


def about(path: Path) -> dict[str, Any]:
    """How the weights of a folder, or of a file, came about."""
    return load_tensors(path)[1].get("run", {}) if not path.is_dir() else read_json(path / RUN)


def _weights(folder: Path, kind: str) -> dict[str, Tensor]:
    """The tensors of a GPT-2 folder, or of a file, under the names of `LanguageModel`."""
    found = {}
    if not folder.is_dir():
        found, header = load_tensors(folder)
        if header.get("kind") != kind:
            given = shown(header.get("kind"))
            raise ArtefactError(f"{folder}: kind is {given}, expected {kind!r}")
        return found
    check_folder(folder, ["gpt2" if kind == "teacher" else "gaincell_gpt2"])
    for name, tensor in load_tensors(folder / WEIGHTS)[0].items():
        if ".heads." in name:
            continue
        path, _, kind = name.removeprefix("transformer.").rpartition(".")
        if path in OTHERS:
            found[f"{OTHERS[path]}.{kind}"] = tensor
            continue
        _, layer, part = path.split(".", 2)
        turned = tensor.T if kind == "weight" and not part.startswith("ln") else tensor
        found[f"blocks.{layer}.{PARTS[part]}.{kind}"] = turned
    return found


def load_teacher(folder: Path = TEACHER, config: ModelConfig | None = None) -> LanguageModel:
    """The softmax teacher, single precision. Raises ArtefactError."""
    model = LanguageModel(config or ModelConfig())
    load_weights(model, _weights(folder, "teacher"), folder)
    return model.requires_grad_(False)


def load_trained_on(path: Path, teacher: LanguageModel, origin: str | None = None) -> LanguageModel:
    """The teacher as a stage of ml.small.control left it, single precision.

    Raises ArtefactError, as `ml.adapt.stage_files.load_stage` for the stage of another `origin`.
    """
    return _from_stage(LanguageModel(teacher.config), path, origin)


def load_scaled(
    path: Path, teacher: LanguageModel, spec: HardwareSpec, origin: str, ops: Ops = EXACT
) -> LanguageModel:
    """The student as a stage of ml.small.adapt left it, scalers not folded, on the cell of `spec`.

    Single precision. Raises ArtefactError, as `load_stage` for another `origin`.
    """
    student = LanguageModel(teacher.config, on_hardware(spec, ops, scaled=True))
    return _from_stage(student, path, origin)


def _from_stage(model: LanguageModel, path: Path, origin: str | None) -> LanguageModel:
    load_weights(model, load_stage(path, origin)[0], path)
    return model.requires_grad_(False)


def load_adapted(
    spec: HardwareSpec, folder: Path = ADAPTED, config: ModelConfig | None = None, ops: Ops = EXACT
) -> LanguageModel:
    """The adapted model on the hardware of `spec`, scalers folded, double precision.

    Raises ArtefactError, also when it was adapted to another specification.
    """
    codes = load_tensors(folder)[1].get("codes_hash") if not folder.is_dir() else None
    codes = codes or load_converted(folder).config.codes_hash
    if codes != spec.codes_hash:
        raise ArtefactError(
            f"{folder}: adapted to a specification of codes {codes}, "
            f"but {spec.name} has {spec.codes_hash}"
        )
    model = LanguageModel(config or ModelConfig(), on_hardware(spec, ops)).double()
    load_weights(model, _weights(folder, "adapted"), folder)
    return model.requires_grad_(False)
