"""The student: the teacher's copy on the hardware, and what a stage file holds of it.

A stage file has what differs from the teacher: the tensors of each attention module as LAYER.NAME,
and low-rank updates of the MLPs under the names of their layers.
"""

from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from analog_models.spec import HardwareSpec
from ml.adapt.work import ON_CUBIC, Adaptation, Options
from ml.attention.backend import FAST
from ml.attention.heads import use
from ml.checkpoint import fitted
from ml.models.convert import convert
from ml.models.low_rank import LowRank, add_low_rank
from ml.models.network import Network, freeze

UPDATES = (".up", ".down")  # parts of an update of the MLP


def new_student(
    teacher: PreTrainedModel, spec: HardwareSpec, stage: str, options: Options
) -> Network:
    """The model on the cell that `stage` ends on, heads and updates of the MLP still to be set."""
    model = convert(teacher, spec, "cubic" if stage in ON_CUBIC else "linear", options.mixing)
    use(model, FAST)
    network = Network(model.eval(), options.dtype)
    if options.mlp_rank:
        add_low_rank(network, options.mlp_rank, options.seed)
    return network


def adapted_tensors(network: Network) -> dict[str, Tensor]:
    """What a stage file holds of `network`: attention by layer, updates of the MLP by name."""
    tensors = {
        f"{i}.{name}": tensor
        for i, attention in enumerate(network.attentions)
        for name, tensor in attention.state_dict().items()
    }
    for path, module in network.model.named_modules():
        if isinstance(module, LowRank):
            tensors |= {path + name: module.get_parameter(name[1:]).data for name in UPDATES}
    return tensors


@torch.no_grad()
def load_adapted(network: Network, tensors: dict[str, Tensor], path: Path) -> None:
    """Put the tensors of the stage file `path` into `network`.

    Updates of the MLP that the file lacks stay zero: a stage may be the first to have them. Raises
    ArtefactError for other differences, as `fitted`.
    """
    own = {
        name: tensor
        for name, tensor in adapted_tensors(network).items()
        if name in tensors or not name.endswith(UPDATES)
    }
    for name, tensor in fitted(tensors, own, path).items():
        own[name].copy_(tensor)


def student_at(work: Adaptation, stage: str, start: str | None) -> Network:
    """The student on the cell of `stage`, with the weights that the stage `start` ended with."""
    network = new_student(work.teacher, work.spec, stage, work.options)
    freeze(network, lambda name: _is_trained(network, name))
    if start is not None:
        load_adapted(network, work.stages.load(start)[0], work.stages.file(start))
    return network


def _is_trained(network: Network, name: str) -> bool:
    attention = any(name.startswith(f"{path}.") for path in network.names)
    return attention or name.endswith(UPDATES)
