"""The student: the teacher's copy on the hardware, and what a stage file holds of it.

A stage file has what differs from the teacher: the tensors of each attention module as LAYER.NAME,
low-rank updates of the MLPs under the names of their layers, and what else was trained under the
names that the model has for it. Stages of the teacher itself, of a control, are of this form, too.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from analog_models.spec import HardwareSpec
from ml.adapt.work import BEFORE_WORDS, ON_CUBIC, Adaptation, Options
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
    """What a stage file holds of `network`: attention by layer, and what learns by its name."""
    learn = {name: p.data for name, p in _others(network).items() if p.requires_grad}
    return _attention(network) | learn


def _attention(network: Network) -> dict[str, Tensor]:
    return {
        f"{i}.{name}": tensor
        for i, attention in enumerate(network.attentions)
        for name, tensor in attention.state_dict().items()
    }


def _others(network: Network) -> dict[str, nn.Parameter]:
    """Parameters beside attention; of layers with an update that alone."""
    updated = [n for n, module in network.model.named_modules() if isinstance(module, LowRank)]
    hidden = (*(f"{path}." for path in network.names), *(f"{path}.base." for path in updated))
    return {n: p for n, p in network.model.named_parameters() if not n.startswith(hidden)}


@torch.no_grad()
def load_adapted(network: Network, tensors: dict[str, Tensor], path: Path) -> None:
    """Put the tensors of the stage file `path` into `network`.

    What the file lacks beside attention stays as it is: a stage may be the first to train it.
    Raises ArtefactError for other differences, as `fitted`.
    """
    others = {name: p.data for name, p in _others(network).items() if name in tensors}
    own = _attention(network) | others
    for name, tensor in fitted(tensors, own, path).items():
        own[name].copy_(tensor)


def student_at(work: Adaptation, stage: str, start: str | None) -> Network:
    """The student on the cell of `stage`, with the weights that the stage `start` ended with."""
    network = new_student(work.teacher, work.spec, stage, work.options)
    freeze(network, lambda name: is_trained(network, name, work.options, stage))
    if start is not None:
        load_adapted(network, work.stages.load(start)[0], work.stages.file(start))
    return network


def is_trained(network: Network, name: str, options: Options, stage: str) -> bool:
    """Whether the parameter `name` learns in `stage`."""
    if options.train == "all" and stage not in BEFORE_WORDS:
        return True
    attention = any(name.startswith(f"{path}.") for path in network.names)
    return attention or name.endswith(UPDATES)
