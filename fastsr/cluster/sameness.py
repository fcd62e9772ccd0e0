"""What must be the same on two machines for them to make the same bytes."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata

import fastsr
from fastsr import _core
from fastsr.upscaler import Upscaler

_PACKAGES = ("numpy", "pillow", "isal", "av")  # what pixels and files are made with
_PORTABLE = "portable"  # the instruction set without FMA, whose sums are rounded otherwise
EXACT = ("fp32", "int8")  # precisions of the native engine that give the same bytes on every processor with FMA


@dataclasses.dataclass(frozen=True)
class Installation:
    """What a machine makes results with.

    Attributes:
        versions: package -> version, of those that are installed.
        isa: the instruction set that the native engine uses.

    """

    versions: dict[str, str]
    isa: str

    def differences(self, other: Installation, video: bool) -> list[str]:
        """What results may differ by, as clauses; for videos PyAV counts too."""
        own, found = self._counted(video), other._counted(video)
        told = [
            f"{name} {found.get(name, 'is missing')}, here {own.get(name, 'none')}"
            for name in sorted({*own, *found})
            if own.get(name) != found.get(name)
        ]
        if (self.isa == _PORTABLE) != (other.isa == _PORTABLE):
            told.append(f"instruction set {other.isa}, here {self.isa}")
        return told

    def _counted(self, video: bool) -> dict[str, str]:
        return {name: version for name, version in self.versions.items() if video or name != "av"}


def installation() -> Installation:
    """Of this machine."""
    versions = {"fastsr": fastsr.__version__}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return Installation(versions, _core.active_isa())


def is_exact(upscaler: Upscaler) -> bool:
    """Whether an upscaler gives the same bytes on every worker's processor."""
    return upscaler.engine == "pillow" or (upscaler.engine == "cpu" and upscaler.precision in EXACT)
