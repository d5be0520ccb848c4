"""The stages that the shipped model was adapted in, as models to evaluate."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from analog_models.spec import HardwareSpec
from ml.adapt.stage_files import StageFolder, load_stage, origin_of
from ml.adapt.student import load_adapted as load_adapted_tensors
from ml.adapt.work import CONTROL, TRAINED
from ml.attention.backend import DEFAULT
from ml.attention.heads import use
from ml.evaluate.mixed import stage_model
from ml.evaluate.subject import check_hardware
from ml.models.convert import convert
from ml.models.delta import weights_sha256
from ml.models.families import attention_modules, set_hardware
from ml.models.network import Network
from ml.models.shipped import load_adapted, load_teacher


def without_attention(model: PreTrainedModel) -> PreTrainedModel:
    """The model with the output of every attention layer set to zero; changes `model`."""

    def silenced(_module: Any, _args: Any, output: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (torch.zeros_like(output[0]), *output[1:])

    for attention in attention_modules(model):
        attention.register_forward_hook(silenced)
    return model


def exact(model: PreTrainedModel) -> PreTrainedModel:
    """The same model in double precision, its hardware computed by the definition."""
    use(model, DEFAULT)
    return model.double().eval()


def control_model(path: Path, teacher: PreTrainedModel, spec: HardwareSpec) -> PreTrainedModel:
    """The teacher as the stage of a control in the file `path` left it.

    Raises ArtefactError, also where it is of another teacher or hardware.
    """
    own = weights_sha256(teacher)
    origins = [origin_of(own, spec, mixing=mixing) for mixing in (True, False)]
    tensors, about = load_stage(path, None)
    if about.get("origin") != origins[0]:
        load_stage(path, origins[1])
    network = Network(copy.deepcopy(teacher), torch.float32)
    load_adapted_tensors(network, tensors, path)
    return network.model.double().eval()


class Stage(NamedTuple):
    """One row. label: in the table and the model card; name: in result.json; `trained`: the
    stages of ml.adapt that were trained up to here, None for a model that never was adapted;
    `file`: of a stage that may be missing.
    """

    label: str
    name: str
    trained: tuple[str, ...] | None
    make: Callable[[], PreTrainedModel]
    file: Path | None = None


def stages(teacher: Path, adapted: Path, folder: Path, spec: HardwareSpec) -> Iterator[Stage]:
    """The stages in order; `folder`: what ml.adapt was given as --out."""
    soft, finished = load_teacher(teacher), StageFolder(folder / "stages", "")

    def control(stage: str) -> tuple[Callable[[], PreTrainedModel], Path]:
        path = finished.file(stage)
        return lambda: control_model(path, soft, spec), path

    def from_file(stage: str) -> tuple[Callable[[], PreTrainedModel], Path]:
        path = finished.file(stage)
        return lambda: exact(stage_model(path, soft, spec)), path

    def unmatched() -> PreTrainedModel:
        model = stage_model(finished.file("linear"), soft, spec)
        set_hardware(model, spec, "cubic")
        return exact(model)

    def ablated(make: Callable[[], PreTrainedModel]) -> Callable[[], PreTrainedModel]:
        return lambda: without_attention(make())

    def again() -> PreTrainedModel:
        return copy.deepcopy(soft).double()

    def final() -> PreTrainedModel:
        model = load_adapted(folder=adapted)
        check_hardware(model, spec, adapted)
        return model

    def naive() -> PreTrainedModel:
        return convert(soft, spec, mixing=False).double()

    as_linear, as_cubic = CONTROL
    one, two, every = TRAINED[:1], TRAINED[:2], TRAINED
    yield Stage("teacher", "teacher", None, again)
    yield Stage("teacher, attention zero", "teacher, attention zero", None, ablated(again))
    yield Stage("naive swap", "naive", None, naive)
    yield Stage("linear, statistics only", "statistics", (), *from_file("init"))
    yield Stage("linear, layer-wise", "layer-wise", one, *from_file("layerwise"))
    yield Stage("linear, adapted", "linear", two, *from_file("linear"))
    yield Stage(
        "cubic, before matching", "cubic, before matching", two, unmatched, finished.file("linear")
    )
    yield Stage("cubic, as published", "published", two, *from_file("published"))
    yield Stage("cubic, matched", "matched", two, *from_file("matched"))
    yield Stage("cubic, adapted", "cubic", every, final)
    yield Stage("cubic, attention zero", "cubic, attention zero", every, ablated(final))
    yield Stage("teacher, as long as linear", as_linear, two, *control(as_linear))
    yield Stage("teacher, as long as cubic", as_cubic, every, *control(as_cubic))
