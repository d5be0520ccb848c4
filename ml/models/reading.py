"""What transformers raises for a bad folder, as one error of one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers.utils import logging

from common.errors import ArtefactError, GaincellError
from ml.errors import one_line


@contextmanager
def reading(name: Any, what: str = "model") -> Iterator[None]:
    """Inside, transformers reads the folder `name`, and says nothing but in errors.

    Raises ArtefactError for whatever it raises: it and the libraries below it have no common base
    for what a file may do to them, and a panic of `tokenizers` is not even an Exception. Our own
    errors stay as they are.
    """
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except (GaincellError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise ArtefactError(f"{name}: cannot be read as a {what}: {reason}") from error
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
