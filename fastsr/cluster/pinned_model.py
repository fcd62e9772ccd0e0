"""A model pinned by a job: by the SHA-256 of its file, with all that its results depend on; sent to who lacks it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastsr import available_memory, files
from fastsr.cluster.worker import Host
from fastsr.errors import ClusterError
from fastsr.importing import lookup
from fastsr.loading import load
from fastsr.network import catalog
from fastsr.upscaler import Upscaler

_KEPT = "models-of-jobs"  # folder of the caches
_SHARE = 0.9  # of the free memory that is promised to runs


@dataclasses.dataclass(frozen=True)
class PinnedModel:
    """A model as a job wants it.

    Attributes:
        name: of a shipped one or an interpolation, else the path of its file on the driver's machine.
        digest: SHA-256 of its file, hexadecimal; empty for an interpolation.
        file: name of its file.
        options: of `fastsr.load`.
        fingerprint: of the upscaler that the job's results are made with; None = any will do.

    """

    name: str
    digest: str
    file: str
    options: dict[str, Any]
    fingerprint: str | None

    def kept(self, host: Host) -> Upscaler:
        """The model on a worker: loaded at its first use, as by `load`, and kept."""
        key = self.name, self.digest, str(self.options)
        if key not in host.kept:
            host.kept[key] = self.load(host.content, host.place.share, host.place.gpu)
        found = host.kept[key]
        assert isinstance(found, Upscaler)
        return found

    def load(self, content: Callable[[str], bytes], share: float, gpu: bool) -> Upscaler:
        """Load it on a worker.

        Args:
            content: gives a file by its SHA-256; called where this machine lacks it.
            share: of this machine's memory that the worker may take.
            gpu: whether the worker has a GPU.

        Raises ClusterError where it would make other results here, FastsrError as `fastsr.load`.

        """
        options = dict(self.options)
        if options["memory"] is None and options["overlap"] is None:
            free = available_memory.available()
            options["memory"] = None if free is None else max(1, int(free * _SHARE * share))
        if self.fingerprint is None and not gpu:
            options["device"] = "cpu"
        made = load(self._place(content), **options)
        if self.fingerprint is not None and made.fingerprint != self.fingerprint:
            raise ClusterError(f"{self.name}: is {made.fingerprint!r} on a worker, but {self.fingerprint!r} is wanted")
        return made

    def _place(self, content: Callable[[str], bytes]) -> str:
        if not self.digest:
            return self.name
        shipped = catalog.models().get(self.name)
        own = Path(self.name) if shipped is None else shipped.path
        if own.is_file() and digest_of(own) == self.digest:
            return self.name
        kept = files.cache_folder() / _KEPT / self.digest / self.file
        if not kept.is_file() or digest_of(kept) != self.digest:
            kept.parent.mkdir(parents=True, exist_ok=True)
            files.replace(kept, content(self.digest))
        return str(kept)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal. Raises ModelError where it cannot be read."""
    return hashlib.sha256(catalog.content(path)).hexdigest()


def pinned(name: str, options: dict[str, Any], upscaler: Upscaler | None) -> tuple[PinnedModel, bytes]:
    """A model, and what its file holds.

    Args:
        name: as `fastsr.load` takes it.
        options: of `fastsr.load`.
        upscaler: the model as it is loaded here, whose engine and precision are wanted everywhere; None = any.

    Raises ModelError for one that is not known or cannot be read.

    """
    if upscaler is not None:
        options = {**options, "precision": upscaler.precision}
        if upscaler.engine != "pillow":
            options |= {"device": "cpu", "engine": upscaler.engine}
    fingerprint = None if upscaler is None else upscaler.fingerprint
    if name in catalog.INTERPOLATIONS:
        return PinnedModel(name, "", "", options, fingerprint), b""
    path = lookup.find(name)
    content = catalog.content(path)
    name = name if name in catalog.models() else str(path.absolute())
    return PinnedModel(name, hashlib.sha256(content).hexdigest(), path.name, options, fingerprint), content
