"""Errors of the language-model package: each message is one line that names the thing."""

from common.errors import GaincellError

LONGEST = 160  # characters of what another library says


def one_line(error: BaseException) -> str:
    """What another library says, in one line that is cut off where it is long."""
    text = " ".join(str(error).split())
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


class ModelError(GaincellError):
    """A language model that the hardware cannot run, or not like this."""


class CorpusError(GaincellError):
    """A text source or the tokenizer cannot be had, or is not what it was."""


class SettingError(GaincellError):
    """A setting of a command lies outside its allowed range."""


class TrainingError(GaincellError):
    """A training run that cannot go on."""
