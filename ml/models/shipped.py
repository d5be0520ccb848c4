"""The checkpoints that ship, and how to load them as models."""

from pathlib import Path

from analog_models.physics import EXACT, Ops
from analog_models.spec import HardwareSpec
from common.errors import ArtefactError, readable, shown
from ml.checkpoint import load_tensors, load_weights
from ml.small.hardware_attention import on_hardware
from ml.small.model import LanguageModel, ModelConfig
from ml.small.stages import load_stage

PACKAGES = ("torch", "numpy", "tokenizers", "safetensors")  # named in every run
CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
TEACHER = CHECKPOINTS / "teacher.safetensors"
ADAPTED = CHECKPOINTS / "adapted.safetensors"


def load_teacher(path: Path = TEACHER, config: ModelConfig | None = None) -> LanguageModel:
    """The softmax teacher, single precision. Raises ArtefactError."""
    tensors, about = load_tensors(path)
    if about.get("kind") != "teacher":
        raise ArtefactError(f"{path}: kind is {shown(about.get('kind'))}, expected 'teacher'")
    model = LanguageModel(config or ModelConfig())
    load_weights(model, tensors, path)
    return model.requires_grad_(False)


def load_trained_on(path: Path, teacher: LanguageModel, origin: str | None = None) -> LanguageModel:
    """The teacher as a stage of ml.small.control left it, single precision.

    Raises ArtefactError, as `ml.small.stages.load_stage` for the stage of another `origin`.
    """
    return _from_stage(LanguageModel(teacher.config), path, origin)


def load_scaled(
    path: Path, teacher: LanguageModel, spec: HardwareSpec, origin: str, ops: Ops = EXACT
) -> LanguageModel:
    """The student as a stage of ml.small.adapt left it, scalers not folded, on the cell of `spec`.

    Single precision. Raises ArtefactError, as `ml.small.stages.load_stage` for another `origin`.
    """
    student = LanguageModel(teacher.config, on_hardware(spec, ops, scaled=True))
    return _from_stage(student, path, origin)


def _from_stage(model: LanguageModel, path: Path, origin: str | None) -> LanguageModel:
    load_weights(model, load_stage(path, origin)[0], path)
    return model.requires_grad_(False)


def load_adapted(
    spec: HardwareSpec, path: Path = ADAPTED, config: ModelConfig | None = None, ops: Ops = EXACT
) -> LanguageModel:
    """The adapted model on the hardware of `spec`, scalers folded, double precision.

    Raises ArtefactError, also when the checkpoint was adapted to another specification.
    """
    tensors, about = load_tensors(path)
    if about.get("kind") != "adapted":
        raise ArtefactError(f"{path}: kind is {shown(about.get('kind'))}, expected 'adapted'")
    if about.get("codes_hash") != spec.codes_hash:
        raise ArtefactError(
            f"{path}: adapted to a specification of codes {readable(about.get('codes_hash'))}, "
            f"but {spec.name} has {spec.codes_hash}"
        )
    model = LanguageModel(config or ModelConfig(), on_hardware(spec, ops)).double()
    load_weights(model, tensors, path)
    return model.requires_grad_(False)
