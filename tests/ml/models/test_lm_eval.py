"""lm-evaluation-harness through its Hugging Face wrapper, on a task that lies here."""

import json
import math
import warnings

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from ml.models import convert
from ml.train.tokenizer import TOKENIZER_FILE
from tests.ml.families import make_family

QUESTIONS = [
    {"text": "To be or not to", "choices": [" be", " have"], "label": 0},
    {"text": "The king of the", "choices": [" land", " is"], "label": 0},
    {"text": "Shall I compare thee to a summer", "choices": ["'s day", " snow"], "label": 0},
]
TASK = """
task: local_questions
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {data}}}, cache_dir: {cache}}}
output_type: multiple_choice
validation_split: validation
doc_to_text: "{{{{text}}}}"
doc_to_choice: choices
doc_to_target: label
target_delimiter: ""
metric_list: [{{metric: acc}}]
"""


@pytest.mark.slow
def test_lm_eval_scores_a_converted_model(hf_spec, tmp_path):
    pytest.importorskip("lm_eval", reason="lm-eval is not installed: sh .ci/install.sh eval")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of its many imports
        # The extra `eval` is not there where types are checked.
        from lm_eval import simple_evaluate  # pyright: ignore[reportMissingImports]
        from lm_eval.models.huggingface import HFLM  # pyright: ignore[reportMissingImports]
        from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports]

        data = tmp_path / "questions.jsonl"
        data.write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS))
        (tmp_path / "task.yaml").write_text(TASK.format(data=data, cache=tmp_path / "cache"))
        model = convert(make_family("llama", vocab_size=2048), hf_spec).eval()
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(TOKENIZER_FILE), eos_token="<|end|>", pad_token="<|end|>"
        )
        lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=3)
        tasks = TaskManager(include_path=str(tmp_path), include_defaults=False)
        found = simple_evaluate(
            model=lm, tasks=["local_questions"], task_manager=tasks, log_samples=True
        )
    assert found is not None
    right = 0
    for sample in found["samples"]["local_questions"]:
        doc, scores = sample["doc"], [float(r[0][0]) for r in sample["resps"]]
        own = [log_likelihood(model, tokenizer, doc["text"], c) for c in doc["choices"]]
        assert all(math.isclose(a, b, abs_tol=1e-3) for a, b in zip(scores, own, strict=True))
        right += own[doc["label"]] == max(own)
    assert math.isclose(found["results"]["local_questions"]["acc,none"], right / len(QUESTIONS))


@torch.no_grad()
def log_likelihood(model, tokenizer, text: str, choice: str) -> float:
    """Of the choice behind the text, without padding."""
    ids = torch.tensor([tokenizer(text + choice)["input_ids"]])
    first = len(tokenizer(text)["input_ids"])
    logits = torch.log_softmax(model(ids[:, :-1]).logits[0].float(), -1)
    return float(logits[first - 1 :].gather(-1, ids[0, first:, None]).sum())
