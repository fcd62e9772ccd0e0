"""The models that one run of the command uses, each loaded once."""

from __future__ import annotations

import argparse
import sys
import warnings
from typing import Any

import fastsr
from fastsr.cli.console import say
from fastsr.errors import FastsrError
from fastsr.importing import packages
from fastsr.network import catalog
from fastsr.output_size import default_model
from fastsr.upscaler import Upscaler


class StopError(FastsrError):
    """A failure that concerns all inputs, so that the run ends."""


class Models:
    """Loads what the command's arguments ask for; prints what engines warn of."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._loaded: dict[tuple[str, bool], Upscaler] = {}

    def fitting(self, width: int, height: int, video: bool = False) -> Upscaler:
        """The named model, or the shipped one that fits what is asked of an image of this size. Raises StopError."""
        a = self._arguments
        if a.model is not None:
            return self.load(a.model, video)
        try:
            name = default_model(width, height, a.scale, a.size, video)
        except FastsrError as error:
            raise StopError(str(error)) from None
        return self.load(name, video)

    def advice(self, upscaler: Upscaler) -> str | None:
        """Which model enlarged an image, and how to choose otherwise; None where the user chose, or has no choice."""
        usual = upscaler.name in catalog.DEFAULTS and upscaler.name not in catalog.VIDEO_DEFAULTS
        if self._arguments.model is not None or not usual:
            return None
        faithful = catalog.default(upscaler.scale, video=True)
        text = f"made by {upscaler.name}; --model {faithful} is faster and keeps noise and artifacts as they are"
        if packages.installed("realesrgan"):
            text += "; --model realesrgan-x4plus repairs damaged photos better, and takes far longer"
        return text

    def own_scale(self, width: int = 1, height: int = 1) -> float:
        """The scale where none is asked for: that of the model for an image of this size, loaded only if unknown."""
        name = default_model(width, height, None, None) if self._arguments.model is None else self._arguments.model
        return catalog.models()[name].scale if name in catalog.models() else self.load(name).scale

    def fitting_video(self, width: int, height: int) -> Upscaler:
        """`fitting`, for video (see `fastsr.load`)."""
        return self.fitting(width, height, video=True)

    @property
    def options(self) -> dict[str, Any]:
        """Of `fastsr.load`, as the arguments have them."""
        names = ("device", "precision", "engine", "tile", "realism", "blend", "overlap", "memory")
        return {name: getattr(self._arguments, name) for name in names}

    def load(self, name: str, video: bool = False) -> Upscaler:
        """A model, loaded on first use. Raises StopError."""
        key = name, video
        if key not in self._loaded:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", RuntimeWarning)
                try:
                    self._loaded[key] = fastsr.load(name, **self.options, video=video)
                except FastsrError as error:
                    raise StopError(str(error)) from None
                except OSError as error:
                    raise StopError(f"{name}: cannot be read ({error.strerror}); check --model") from None
            for warning in caught:
                if warning.category is RuntimeWarning:
                    say(f"fastsr: {warning.message}", sys.stderr)
        return self._loaded[key]
