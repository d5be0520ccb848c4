"""SmolLM2-135M on held-out text or one's own: softmax, naive swap, and what was adapted."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedModel

from analog_models.spec import HardwareSpec
from common.files import sha256
from ml.checkpoint import load_tensors
from ml.evaluate.kinds import heldout_kind, own_kinds
from ml.evaluate.perplexity import perplexity
from ml.evaluate.subject import ON_FAST_KERNEL, evaluated
from ml.evaluate.table import NOTHING, SMOLLM2, Cost, Report, cost_of
from ml.models import smollm2
from ml.models.convert import convert
from ml.models.delta import load_delta, weights_sha256
from ml.models.shipped import DELTAS
from ml.train.text import check_ids, heldout_ids, ids_of

CONTEXT, TEXTS = 512, 16


def stages(
    base: PreTrainedModel, spec: HardwareSpec
) -> Iterator[tuple[str, Path | None, Callable[[], PreTrainedModel]]]:
    """Name, delta file if it comes from one, and how to get the model of each stage."""
    yield "teacher", None, lambda: base
    yield "naive", None, lambda: evaluated(convert(base, spec))
    for name, path in DELTAS.items():
        yield name, path, lambda path=path: evaluated(load_delta(path, base))


def evaluate(
    spec: HardwareSpec, report: Report, count: int | None = None, folder: Path | None = None
) -> None:
    """Add every stage to `report`, measured on so many texts; `folder`: of one's own *.txt files.

    Raises ArtefactError for a package or a delta that is damaged, SettingError, CorpusError.
    """
    base, pretrained = smollm2.load()

    def checked(ids: Tensor) -> Tensor:
        check_ids(ids, pretrained, base)
        return ids

    limit = TEXTS if count is None else count
    if folder is None:
        kinds = heldout_kind(checked(heldout_ids(pretrained)), CONTEXT, limit)
    else:
        kinds = own_kinds(
            folder, lambda text: checked(ids_of({"": text}, pretrained)), CONTEXT, limit
        )
    about = {
        "attention": ON_FAST_KERNEL,
        "base_sha256": weights_sha256(base),
        "sha256": {path.name: sha256(path) for path in DELTAS.values() if path.exists()},
    }
    report.begin(SMOLLM2, **kinds.about, **about)
    for name, path, make in stages(base, spec):
        if path is not None and not path.exists():
            report.missing(name, f"no {path.name}")
            continue
        model = make()
        for kind, texts in kinds.tensors.items():
            value = perplexity(model, texts, partial(_progress, f"{name}, {kind}", len(texts)))
            cost = NOTHING if path is None else _cost(path, name)
            report.add(SMOLLM2, name, value, cost, text=kind)


def _cost(path: Path, stage: str) -> Cost:
    """What the delta's header says that its adaptation took."""
    header = load_tensors(path)[1]
    return cost_of(header.get("run", header), stage)


def _progress(name: str, count: int, done: int) -> None:
    print(f"{name}: text {done} of {count}", end="\r" if done < count else "\r\033[K", flush=True)
