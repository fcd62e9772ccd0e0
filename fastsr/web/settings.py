"""What whoever starts the server chooses: where it listens, what may be uploaded, how long it is kept."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path

from fastsr import files
from fastsr.errors import FastsrError

DEFAULT_PORT = 7860
RESULT_TO_UPLOAD = 16  # times as many pixels as an upload may have, a result may have: four times each side


@dataclasses.dataclass(frozen=True)
class Settings:
    """Of one server.

    Attributes:
        host: address that it listens at.
        port: of it; 0 = any that is free.
        password: what visitors log in with; empty = they need not.
        max_megapixels: of an uploaded photo, or of one frame of a video.
        max_megabytes: of an uploaded file.
        max_minutes: of an uploaded video.
        keep_hours: how long uploads and results are kept after their last use.
        max_waiting: requests that may wait for their turn.
        folder: where uploads, results and unfinished videos lie.

    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    password: str = dataclasses.field(default="", repr=False)
    max_megapixels: float = 50
    max_megabytes: float = 1000
    max_minutes: float = 60
    keep_hours: float = 1
    max_waiting: int = 20
    folder: Path = dataclasses.field(default_factory=lambda: files.cache_folder() / "web")

    def __post_init__(self) -> None:
        """Raise FastsrError for values of no use."""
        bounds = ("max_megapixels", "max_megabytes", "max_minutes", "keep_hours", "max_waiting")
        for name in bounds:
            if not 0 < getattr(self, name) < 1e9:
                raise FastsrError(f"--{name.replace('_', '-')} {getattr(self, name):g} is not a number above 0")
        if not 0 <= self.port < 1 << 16:
            raise FastsrError(f"--port {self.port} is not a port; give a number up to {(1 << 16) - 1}, or 0 for any")
        if not self.is_local and not self.password:
            raise FastsrError(
                f"--host {self.host} lets everyone who reaches this machine use it; add --password, which visitors are "
                "then asked for"
            )

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def max_pixels(self) -> int:
        """Of an upload."""
        return round(self.max_megapixels * 1e6)

    @property
    def max_result_pixels(self) -> int:
        """Of what is made of it."""
        return self.max_pixels * RESULT_TO_UPLOAD
