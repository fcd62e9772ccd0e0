"""The error of a call that cannot be meant: the command's exit code is then 2, not 1."""

from __future__ import annotations

from fastsr.errors import FastsrError


class WrongCallError(FastsrError):
    """Arguments that contradict each other or that no image can be made with."""
