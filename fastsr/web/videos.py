"""A video on the page: checked, enlarged into a folder that is found again, continued where it was stopped."""

from __future__ import annotations

import dataclasses
import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import fastsr
from fastsr import files, images
from fastsr.errors import FastsrError, VideoError
from fastsr.output_size import Size, default_model
from fastsr.upscaler import Upscaler
from fastsr.video_formats import CODECS, CONTAINERS
from fastsr.web import choices, limits
from fastsr.web.jobs import Job, Turns
from fastsr.web.settings import Settings
from fastsr.web.store import Store, safe_name

if TYPE_CHECKING:
    from fastsr.engines.protocol import Progress
    from fastsr.video.pipeline.progress import Progress as VideoProgress
    from fastsr.video.probing import VideoFacts

USUAL = "usual"
FORMATS = (choices.LIKE_SOURCE, *sorted(suffix[1:] for suffix in CONTAINERS))
CODEC_CHOICES = (USUAL, *CODECS)
SEGMENT = 96  # frames that a kill may cost
STILL_AT = 1 / 3  # of a video, where the still is taken that is shown first
SOURCE = "source-"  # before the name of an upload
_WISH = "wish.json"


@dataclasses.dataclass(frozen=True)
class VideoRequest:
    """What a visitor asks for. Raises FastsrError for what is not offered.

    Attributes:
        model: name, or None for the one that fits the size.
        size: as `choices.wanted_size` takes it.
        blend: share of the model's result, 0 to 1.
        format: of the file, one of `FORMATS`.
        codec: one of `CODEC_CHOICES`.

    """

    model: str | None = None
    size: str = "2x"
    blend: float = 1.0
    format: str = choices.LIKE_SOURCE
    codec: str = USUAL

    def __post_init__(self) -> None:
        """Check what can be without a video."""
        object.__setattr__(self, "model", choices.checked_model(self.model))
        choices.wanted_size(self.size)
        for what, value, known in (("format", self.format, FORMATS), ("codec", self.codec, CODEC_CHOICES)):
            if value not in known:
                raise FastsrError(f"unknown {what} {value!r}; there are: {', '.join(known)}")

    @property
    def wanted(self) -> tuple[float | None, Size | None]:
        """`scale` and `size`."""
        return choices.wanted_size(self.size)

    def target(self, source: Path) -> str:
        """What the result of a video is called."""
        suffix = source.suffix.lower() if source.suffix.lower() in CONTAINERS else ".mp4"
        suffix = suffix if self.format == choices.LIKE_SOURCE else f".{self.format}"
        return safe_name(f"{source.stem.removeprefix(SOURCE)}-{choices.mark_of(self.size)}{suffix}")

    def upscaler(self, width: int, height: int) -> Upscaler:
        """The model for frames of this size; loaded on first use."""
        name = self.model or default_model(width, height, *self.wanted)
        return fastsr.load(name, blend=1 if name in choices.INTERPOLATIONS else self.blend, video=True)


@dataclasses.dataclass(frozen=True)
class VideoPlace:
    """The folder of a video, which is the same for the same content and wish, also after a restart."""

    folder: Path
    source: Path
    request: VideoRequest

    @property
    def target(self) -> Path:
        """The result, which is there once it is finished."""
        return self.folder / self.request.target(self.source)

    @property
    def name(self) -> str:
        """What the visitor calls the video."""
        return self.source.name.removeprefix(SOURCE)

    @property
    def owner(self) -> str:
        """Of the job that makes it: whoever asks for the same video follows the same job."""
        return self.folder.name

    @property
    def begun(self) -> bool:
        """Whether an earlier run has left something to go on with."""
        return any(self.folder.glob(".*.fastsr-work"))


@dataclasses.dataclass(frozen=True)
class MadeVideo:
    """A result, and what is told of it."""

    path: Path
    size: tuple[int, int]
    model: str
    frames: int
    resumed: int
    seconds: float
    notes: tuple[str, ...]


def place_for(store: Store, upload: Path, request: VideoRequest) -> VideoPlace:
    """The folder for an upload, made if it is not there yet."""
    wish = json.dumps(dataclasses.asdict(request), sort_keys=True)
    folder = store.video(upload, wish)
    known = known_place(folder)
    if known is not None:  # the file that work was begun with stays, for it is told by its time of change
        return known
    source = store.link(upload, folder, SOURCE + safe_name(upload.name))
    files.replace(folder / _WISH, json.dumps({"source": source.name, "wish": wish}).encode())
    return VideoPlace(folder, source, request)


def known_place(folder: Path) -> VideoPlace | None:
    """What lies in a video's folder; None where that is nothing whole."""
    try:
        noted = json.loads((folder / _WISH).read_bytes())
        source = folder / Path(noted["source"]).name
        request = VideoRequest(**json.loads(noted["wish"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return VideoPlace(folder, source, request) if source.is_file() else None


def check_video(path: Path, settings: Settings) -> VideoFacts:
    """What a video is. Raises FastsrError where it is none, or larger or longer than is allowed."""
    from fastsr.video.probing import facts_of

    facts = facts_of(path)
    if facts.width * facts.height > settings.max_pixels:
        raise VideoError(
            f"{path}: frames of {facts.width} x {facts.height} are larger than the {settings.max_megapixels:g} "
            "megapixels that this server takes (--max-megapixels)"
        )
    _check_length(path, facts.seconds or 0, settings)
    return facts


def still(path: Path, folder: Path, settings: Settings) -> Path:
    """One frame of a video, as an image in a folder. Raises FastsrError."""
    from fastsr.video.probing import still_of

    facts = check_video(path, settings)
    image = images.read(still_of(path, (facts.seconds or 0) * STILL_AT))
    target = folder / f"{safe_name(path.name)}.png"
    images.write(image, image.frames, target)
    return target


def make(place: VideoPlace, settings: Settings, turns: Turns, job: Job[MadeVideo]) -> MadeVideo:
    """Enlarge a video, or what an earlier run has left of it. Raises FastsrError, StoppedError."""
    facts = check_video(place.source, settings)
    request, target = place.request, place.target
    made_by = ""

    def model(width: int, height: int) -> Upscaler:
        nonlocal made_by
        chosen = request.upscaler(width, height)
        made_by = chosen.name
        limits.check_pixels(place.source, (width, height), request.wanted, chosen.scale, settings)
        return cast(Upscaler, _Stoppable(chosen, job.check))

    begun = time.monotonic()
    with turns.long_turn(job) as let_others, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)

        def progress(now: VideoProgress) -> None:
            job.report(now.frames, now.total or 0)
            if facts.seconds is None:
                _check_length(place.source, now.shown, settings)
            let_others()

        scale, size = request.wanted
        codec = None if request.codec == USUAL else request.codec
        try:
            result = fastsr.upscale_video(
                place.source,
                target,
                model=model,
                scale=scale,
                size=size,
                codec=codec,
                segment=SEGMENT,
                progress=progress,
            )
        except VideoError as error:
            if isinstance(error.__cause__, FastsrError):  # of ours, behind the name of the stage that it ended
                raise error.__cause__ from None
            job.check()
            raise
    from fastsr.video.video_size import size_of

    notes = tuple(str(warning.message) for warning in caught if warning.category is RuntimeWarning)
    return MadeVideo(target, size_of(target), made_by, result.frames, result.resumed, time.monotonic() - begun, notes)


def finished(place: VideoPlace) -> MadeVideo | None:
    """The result that an earlier run has finished; None where there is none."""
    if place.begun or not place.target.is_file():
        return None
    from fastsr.video.video_size import size_of

    return MadeVideo(place.target, size_of(place.target), "", 0, 0, 0, ())


def _check_length(path: Path, seconds: float, settings: Settings) -> None:
    if seconds > settings.max_minutes * 60:
        raise VideoError(
            f"{path}: is longer than the {settings.max_minutes:g} minutes that this server takes (--max-minutes)"
        )


class _Stoppable:
    """An upscaler of which a frame ends where the job is to stop, for some models take minutes for one."""

    def __init__(self, upscaler: Upscaler, check: Callable[[], None]) -> None:
        self.name, self.scale, self.fingerprint = upscaler.name, upscaler.scale, upscaler.fingerprint
        self._upscaler, self._check = upscaler, check

    def stream(
        self,
        frames: Iterable[Any],
        scale: float | None = None,
        size: Size | None = None,
        *,
        progress: Progress | None = None,
    ) -> Iterator[Any]:
        """As `Upscaler.stream`."""

        def checked(done: int, total: int) -> None:
            self._check()
            if progress is not None:
                progress(done, total)

        return self._upscaler.stream(frames, scale, size, progress=checked)
