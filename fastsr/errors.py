"""Errors a user can cause; each message names the file or argument and the remedy."""

from __future__ import annotations


class FastsrError(ValueError):
    """Base of every error that fastsr raises on purpose."""


class ImageError(FastsrError):
    """An image that cannot be read, converted or written."""


class VideoError(FastsrError):
    """A video that cannot be read, enlarged or written; the cause, if there is one, is its `__cause__`."""


class ModelError(FastsrError):
    """A model that is unknown, unreadable or cannot be run."""


class EngineError(FastsrError):
    """An engine, device or precision that this machine cannot serve."""


class GpuMemoryError(EngineError):
    """A GPU has not the memory that was asked for; smaller tiles or batches may fit."""


class ClusterError(FastsrError):
    """A cluster that cannot be reached, or that has no worker which makes the same results as this machine."""
