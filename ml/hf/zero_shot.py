"""Zero-shot tasks through lm-evaluation-harness, with data that is on this machine already."""

from importlib.util import find_spec
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ml.errors import SettingError

ITEMS = 100  # of each task


def zero_shot(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tasks: list[str], items: int = ITEMS
) -> dict[str, float]:
    """Scores by "task metric" on the first `items` of each task; nothing is downloaded.

    Raises SettingError where lm-eval is not installed or a task's data is not local.
    """
    if find_spec("lm_eval") is None:
        raise SettingError("tasks need lm-evaluation-harness: pip install 'lm-eval[hf]'")
    import datasets
    import huggingface_hub.constants
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    # Environment variables for this are read at the first import, which was that of transformers.
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    datasets.config.HF_HUB_OFFLINE = datasets.config.HF_DATASETS_OFFLINE = True

    wrapped = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=1)  # pyright: ignore
    try:
        found: Any = simple_evaluate(wrapped, tasks=list(tasks), limit=items, bootstrap_iters=0)
    except Exception as error:  # the libraries raise whatever comes
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SettingError(
            f"tasks {', '.join(tasks)}: cannot be run from local data ({reason}); fetch their data "
            "with the `datasets` library first, nothing is downloaded here"
        ) from error
    return {
        f"{task} {metric.removesuffix(',none')}": float(value)
        for task, metrics in found["results"].items()
        for metric, value in metrics.items()
        if isinstance(value, float)
    }
