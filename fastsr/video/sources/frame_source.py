"""What the pipeline needs of any source: a video file, an image sequence or a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from fastsr.video.frame import Frame, ResumePoint
from fastsr.video.sources.stream_info import StreamInfo


class FrameSource(Protocol):
    """Where frames come from."""

    @property
    def name(self) -> str:
        """As messages call it."""
        ...

    @property
    def info(self) -> StreamInfo:
        """What is known of the stream before it is decoded."""
        ...

    @property
    def live(self) -> bool:
        """Whether it goes on by itself, so that frames are lost where they are not taken."""
        ...

    @property
    def damaged(self) -> int:
        """Packets so far that could not be decoded."""
        ...

    @property
    def retimed(self) -> int:
        """Frames so far whose own timestamps went back, so that they follow at once."""
        ...

    def frames(self, resume: ResumePoint | None = None) -> Iterator[Frame]:
        """The wanted frames, from `resume` on where one is given."""
        ...

    def identity(self) -> list[Any] | None:
        """Equal for what is the same as before, for JSON; None for what cannot be read again."""
        ...

    def check_unchanged(self) -> None:
        """Raise VideoError when what would be read again is another file by now."""
        ...

    def stop(self) -> None:
        """End a wait for frames that another thread is in."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...
