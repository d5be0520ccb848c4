"""Errors of the language-model package: each message is one line that names the thing."""

class GaincellError(Exception):
    "temporary"


class CorpusError(GaincellError):
    """A text source cannot be fetched, or is not what it was."""


class CheckpointError(GaincellError):
    """A checkpoint or golden file is missing, truncated, not finite or of another hardware."""


class SettingError(GaincellError):
    """A setting of a command lies outside its allowed range."""
