"""Exceptions of the estimate; all derive from `common.errors.GaincellError`."""

from common.errors import GaincellError

__all__ = ["EstimateError"]


class EstimateError(GaincellError):
    """Something that cannot be estimated: a workload, a model or a machine that makes no sense."""
