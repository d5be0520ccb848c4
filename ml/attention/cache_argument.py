"""What transformers calls the cache of a model: `past_key_values`, and from 5.24 on `cache`.

Gain-cell models take it under either name, with any version that the project allows.
"""

import inspect
from typing import Any

from transformers import LlamaForCausalLM

from ml.errors import ModelError

NAMES = ("cache", "past_key_values")
# What this version of transformers passes from module to module, and calls it in the output.
NAME = NAMES[0] if NAMES[0] in inspect.signature(LlamaForCausalLM.forward).parameters else NAMES[1]


def take_cache(options: dict[str, Any]) -> tuple[str, Any]:
    """Take the cache, or None, and the name that it has, out of the arguments of a model.

    Raises ModelError for one under each name.
    """
    given = {name: options.pop(name) for name in NAMES if name in options}
    given = {name: cache for name, cache in given.items() if cache is not None}
    if len(given) > 1:
        raise ModelError(f"{' and '.join(given)} are both given: they are one argument; give one")
    return next(iter(given.items()), (NAME, None))
