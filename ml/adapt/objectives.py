"""What the student learns: the teacher's attention layer by layer, then the teacher's words.

Errors are taken relative to the variance within each text, so that the mean over a batch is the
same however the texts are shared among ranks.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ml.models.network import Network, hooked, state_of

SMALLEST_VARIANCE = 1e-8
HIDDEN_EVERY = 3  # layers: the residual stream behind every third one is compared
Result = tuple[Tensor, dict[str, Any]]


def relative_error(got: Tensor, wanted: Tensor) -> Tensor:
    """Squared error over the variance of what was wanted, [B, T, C] each, mean over the texts."""
    wanted = wanted.float()
    error = (got.float() - wanted).square().mean((1, 2))
    return (error / wanted.var((1, 2)).clamp_min(SMALLEST_VARIANCE)).mean()


def normalised(x: Tensor) -> Tensor:
    """States [..., C] at a root mean square of 1, as every part of the model reads them."""
    return functional.rms_norm(x.float(), x.shape[-1:], eps=1e-6)


class LayerWise:
    """Error of each attention layer's output when it gets the teacher's input.

    Layer after layer runs backwards at once: memory for one layer, whatever the depth.
    """

    def __init__(self, teacher: Network, student: Network) -> None:
        self.teacher, self.student = teacher, student

    def __call__(self, texts: Tensor) -> Result:
        """Texts [B, T + 1]; adds the gradients. The mean error, and those of the layers."""
        errors = self.errors(texts[:, :-1], backward=True)
        return torch.stack(errors).mean(), {"layers": [float(error) for error in errors]}

    def errors(self, ids: Tensor, backward: bool = False) -> list[Tensor]:
        """Error of each layer."""
        found: list[Tensor] = []

        def compare(i: int, args: tuple, kwargs: dict, output: Any) -> None:
            with torch.set_grad_enabled(backward):
                got = self.student.attentions[i](*args, **kwargs)
                error = relative_error(state_of(got), state_of(output))
                if backward:
                    with torch.autocast("cpu", enabled=False):  # as backward passes run elsewhere
                        error.backward()
            found.append(error.detach())

        with torch.no_grad(), self.teacher.autocast(), hooked(self.teacher.attentions, compare):
            self.teacher.hidden(ids)
        return found


class EndToEnd:
    """KL divergence from the teacher's words, and error of the residual stream on the way there.

    `hidden_weight`: of that error, the mean over every HIDDEN_EVERY-th layer. `text_weight`: share
    of the words that the text itself has next, in place of the teacher's. Where neither leaves
    anything to the teacher, it is not asked.
    """

    def __init__(
        self,
        teacher: Network,
        student: Network,
        hidden_weight: float = 1.0,
        text_weight: float = 0.0,
    ) -> None:
        self.teacher, self.student = teacher, student
        self.hidden_weight, self.text_weight = hidden_weight, text_weight
        self.listens = text_weight < 1 or hidden_weight > 0
        chosen = slice(HIDDEN_EVERY - 1, None, HIDDEN_EVERY)
        layers = range(len(teacher.blocks))
        self.layers = (list(layers[chosen]) or [layers[-1]]) if self.listens else []

    def __call__(self, texts: Tensor) -> Result:
        """Texts [B, T + 1]; adds the gradients. The loss, and its parts."""
        wanted: list[Tensor] = []
        errors: list[Tensor] = []

        def note(_i: int, _args: tuple, _kwargs: dict, output: Any) -> None:
            wanted.append(normalised(state_of(output)).to(self.teacher.precision))

        def compare(i: int, _args: tuple, _kwargs: dict, output: Any) -> None:
            errors.append(relative_error(normalised(state_of(output)), wanted[i]))

        teacher, student, ids = self.teacher, self.student, texts[:, :-1]
        theirs = [teacher.blocks[i] for i in self.layers]
        target = None
        if self.listens:
            with torch.no_grad(), teacher.autocast(), hooked(theirs, note):
                target = teacher.hidden(ids)
        with torch.enable_grad(), student.autocast():
            with hooked([student.blocks[i] for i in self.layers], compare):
                states = student.hidden(ids)
            parts, gradient = self.words(target, states.detach(), texts[:, 1:])
            stream = torch.stack(errors).mean() if errors else states.new_zeros(())
            weighted = self.hidden_weight * stream
        roots, gradients = [states], [gradient]
        if errors:
            roots.append(weighted)
            gradients.append(torch.ones_like(weighted))
        torch.autograd.backward(roots, gradients)
        loss = (1 - self.text_weight) * parts[0] + self.text_weight * parts[1]
        divergence, surprise = parts.tolist()
        stream = float(stream.detach())
        details = {"divergence": divergence, "surprise": surprise, "stream": stream}
        if not self.listens:
            details = {"surprise": surprise}
        return loss + weighted.detach(), details

    def words(
        self, target: Tensor | None, states: Tensor, following: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What two last states [B, T, C] say of the next words, `following` [B, T].

        Without a `target` the divergence is 0.

        Returns KL divergence and surprise by the text [2], both in nats per token, and the
        gradient of their weighted sum [B, T, C]. The logits of all tokens together would not fit:
        a vocabulary is far wider than a model.
        """
        gradient, total = torch.empty_like(states), states.new_zeros(2, dtype=torch.float32)
        rows, weight = self.student.rows(), self.text_weight
        wanted = states if target is None else target
        parts = (x.flatten(0, 1).split(rows) for x in (wanted, states, gradient))
        for wanted, own, into, words in zip(*parts, following.flatten().split(rows), strict=True):
            own = own.detach().requires_grad_()
            student = functional.log_softmax(self.student.logits(own), dim=-1)
            divergence = student.new_zeros(())
            if target is not None:
                with torch.no_grad():
                    teacher = functional.log_softmax(self.teacher.logits(wanted), dim=-1)
                divergence = functional.kl_div(student, teacher, reduction="sum", log_target=True)
            surprise = functional.nll_loss(student, words, reduction="sum")
            loss = (1 - weight) * divergence + weight * surprise
            into.copy_(torch.autograd.grad(loss / following.numel(), own)[0])
            total += torch.stack((divergence, surprise)).detach() / following.numel()
        return total, gradient


@torch.no_grad()
def layer_errors(teacher: Network, student: Network, ids: Tensor) -> dict[str, list[float]]:
    """Relative error of each layer for ids [B, T].

    `attention`: of its output when it gets the teacher's input; `stream`: of the normalised
    residual stream behind it, with all that went wrong before.
    """
    wanted: list[Tensor] = []
    stream: list[float] = []

    def note(_i: int, _args: tuple, _kwargs: dict, output: Any) -> None:
        wanted.append(normalised(state_of(output)))

    def compare(i: int, _args: tuple, _kwargs: dict, output: Any) -> None:
        stream.append(float(relative_error(normalised(state_of(output)), wanted[i])))

    attention = [float(error) for error in LayerWise(teacher, student).errors(ids)]
    with teacher.autocast():
        with hooked(teacher.blocks, note):
            teacher.hidden(ids)
        with hooked(student.blocks, compare):
            student.hidden(ids)
    return {"attention": attention, "stream": stream}
