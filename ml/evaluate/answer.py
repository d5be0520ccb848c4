"""What a model answers, beside what it was adapted from.

    python -m ml.evaluate.answer [--model NAME] [--base FOLDER] [--prompt TEXT]

Greedy: the likeliest token each time. A model with a chat template is asked in it. The hardware is
computed exactly.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from common.arguments import natural, utf_8
from common.errors import run_command
from ml.errors import SettingError
from ml.evaluate import pretrained as evaluate
from ml.models.delta import load_delta
from ml.models.folders import load_base
from ml.models.shipped import NAMES, SMOLLM2, find_base, find_model

PROMPT, TOKENS = "What is the capital of France?", 48


@torch.no_grad()
def answer(model: PreTrainedModel, tokenizer: Any, prompt: str, tokens: int = TOKENS) -> str:
    """The likeliest `tokens` tokens after `prompt`, or fewer where the model ends by itself."""
    if tokenizer.chat_template:
        turn = [{"role": "user", "content": prompt}]
        asked = tokenizer.apply_chat_template(
            turn, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
    else:
        asked = tokenizer(prompt, return_tensors="pt")
    ids = asked["input_ids"]
    found = model.generate(  # pyright: ignore[reportCallIssue]
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False
    )
    return tokenizer.decode(found[0, ids.shape[1] :], skip_special_tokens=True).strip()


def models(name: str, base: Path | None) -> Iterator[tuple[str, Any, PreTrainedModel]]:
    """Name, tokenizer and model: what was adapted from comes first. Raises GaincellError."""
    if name in NAMES:
        if base is not None:
            raise SettingError(f"base is for a folder of your own: leave it out with {name}")
        teacher, tokenizer = find_base(name)
        yield "teacher", tokenizer, teacher
    if name == SMOLLM2:
        for stage, path in evaluate.DELTAS.items():
            if path.exists():
                yield stage, tokenizer, load_delta(path, teacher)
        return
    model, tokenizer = find_model(name)
    if base is not None:
        yield "teacher", tokenizer, load_base(base)
    yield name, tokenizer, model


def main(argv: list[str] | None = None) -> int:
    """Command line: print the answers."""
    parser = argparse.ArgumentParser(
        prog="ml.evaluate.answer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", default=SMOLLM2, help="shipped, smollm2, or a folder (smollm2)")
    add("--base", type=Path, help="folder of the model that it was adapted from")
    add("--prompt", type=utf_8, default=PROMPT, help=f"({PROMPT})")
    add("--tokens", type=natural(1), default=TOKENS, help=f"at most ({TOKENS})")
    options = parser.parse_args(argv)
    print(f"> {options.prompt}")
    for name, tokenizer, model in models(options.model, options.base):
        text = answer(model.eval(), tokenizer, options.prompt, options.tokens)
        print(f"\n{name}:\n{text}", flush=True)
    return 0


if __name__ == "__main__":
    run_command(main)
