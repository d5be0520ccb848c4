"""AdamW, and Muon for matrices where it is wanted, with a learning rate for each kind of parameter.

Muon (Jordan et al. 2024) makes the update of a matrix orthogonal, which takes many products: ranks
share the matrices out, each has the momentum of its own, and they tell each other the result.
"""

import torch
from torch import Tensor, nn

from ml.train.parallel import Ranks

SCALERS = ("scaler", "offset")  # parts of the names of what is few and far from its place
MIXING = "mix_"  # of matrices per head, as GainCellHeads calls them
MUON_STATE = "momentum_buffer"
ADAM_STATE = ("exp_avg", "exp_avg_sq")


class Optimisers:
    """Of all trained parameters of `module`. Rates are in units of the learning rate of weights.

    scaler_factor, mixing_factor: of scalers and offsets, of mixing matrices. muon_factor: of
    matrices under Muon; None: AdamW has them, too. weight_decay: of matrices.
    """

    def __init__(
        self,
        module: nn.Module,
        ranks: Ranks,
        *,
        scaler_factor: float,
        mixing_factor: float,
        muon_factor: float | None,
        weight_decay: float,
    ) -> None:
        self.ranks, self.all = ranks, []
        factors = {"scalers": scaler_factor, "mixing": mixing_factor}
        groups: dict[str, list[nn.Parameter]] = {}
        tables = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                kind = "embeddings" if id(parameter) in tables else _kind_of(name, parameter)
                groups.setdefault(kind, []).append(parameter)
        self.matrices = groups.pop("matrices", []) if muon_factor is not None else []
        if own := self.matrices[ranks.rank :: ranks.size]:
            group = {"params": own, "weight_decay": weight_decay, "factor": muon_factor}
            self.all.append(torch.optim.Muon([group], momentum=0.9, adjust_lr_fn="match_rms_adamw"))
        others = [
            {
                "params": group,
                "weight_decay": weight_decay if kind in ("matrices", "embeddings") else 0.0,
                "factor": factors.get(kind, 1.0),
            }
            for kind, group in groups.items()
        ]
        if others:
            self.all.append(torch.optim.AdamW(others, betas=(0.9, 0.95), fused=True))

    def step(self, rate: float) -> None:
        """One step at the learning rate `rate` of weights."""
        for optimiser in self.all:
            for group in optimiser.param_groups:
                group["lr"] = rate * group["factor"]
            optimiser.step()
        self.ranks.spread([matrix.data for matrix in self.matrices])

    def state(self) -> dict[nn.Parameter, dict[str, Tensor]]:
        """What the optimisers of all ranks remember of each parameter; every rank has to ask."""
        found = {p: dict(values) for each in self.all for p, values in each.state.items()}
        if self.matrices and self.ranks.size > 1:
            momenta = [found.get(p, {}).get(MUON_STATE, torch.zeros_like(p)) for p in self.matrices]
            self.ranks.spread(momenta)
            found |= {p: {MUON_STATE: m} for p, m in zip(self.matrices, momenta, strict=True)}
        return found

    def kinds(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """What `state` has of a parameter once it has been moved: tensors of that form."""
        if any(parameter is matrix for matrix in self.matrices):
            return {MUON_STATE: parameter}
        return {"step": torch.zeros((), device="cpu"), **dict.fromkeys(ADAM_STATE, parameter)}

    def load(self, state: dict[nn.Parameter, dict[str, Tensor]]) -> None:
        """Take up what `state` gave; each rank keeps what is its own."""
        for optimiser in self.all:
            for group in optimiser.param_groups:
                for parameter in group["params"]:
                    if state.get(parameter):
                        optimiser.state[parameter] = state[parameter]


def _kind_of(name: str, parameter: nn.Parameter) -> str:
    if any(part in name for part in SCALERS):
        return "scalers"
    if MIXING in name:
        return "mixing"
    return "matrices" if parameter.dim() >= 2 else "vectors"
