"""Errors of the language-model package: each message is one line that names the thing."""

from analog_models.errors import GaincellError


class ModelError(GaincellError):
    """A language model that the hardware cannot run, or not like this."""


class CorpusError(GaincellError):
    """A text source or the tokenizer cannot be had, or is not what it was."""


class SettingError(GaincellError):
    """A setting of a command lies outside its allowed range."""


class TrainingError(GaincellError):
    """A training run that cannot go on."""
