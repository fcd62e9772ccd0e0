"""What programs call: the named endpoints of the page, typed; their docstrings are what its API page shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio
from gradio import FileData

from fastsr.web import choices, photos, videos
from fastsr.web.context import COMPUTING, COMPUTING_VIDEO, Context
from fastsr.web.jobs import Job
from fastsr.web.photos import MadePhoto, PhotoRequest
from fastsr.web.store import safe_name
from fastsr.web.videos import VideoRequest


def add(context: Context) -> None:
    """Add the endpoints to the Blocks at hand."""

    def models() -> dict[str, str]:
        """The models that can be chosen, with a line on each."""
        with context.told():
            return choices.model_lines()

    def upscale(
        photo: FileData,
        model: str = choices.AUTOMATIC,
        size: str = "4x",
        realism: float = 1.0,
        blend: float = 1.0,
        format: str = choices.LIKE_SOURCE,
        quality: int = 90,
    ) -> FileData:
        """Enlarge a photo; gives the file of the result.

        Args:
            photo: an uploaded file.
            model: one of `models`.
            size: a factor such as "2x", or pixels: "1920x1080" (fits in), "1920x", "x1080".
            realism: 0 (faithful) to 1 (most detail), for models that have it.
            blend: share of the model's result, 0 to 1; the rest is bicubic interpolation's.
            format: "like the source", "png", "jpg", "webp", "avif" or "tif".
            quality: 1 to 100, for jpg, webp and avif.

        """
        with context.told():
            wish = PhotoRequest(model, size, realism, blend, format, quality)
            source = context.store.uploaded(_path(photo))
            folder = context.store.session(context.store.new_token())

            def work(job: Job[MadePhoto]) -> MadePhoto:
                original = context.store.link(source, folder, safe_name(source.name))
                with context.jobs.turns.turn(job):
                    return photos.make(original, folder, wish, context.settings, job, seen=False)

            with context.store.in_use(folder):
                return _file(context.jobs.run(folder.name, Job(work)).path)

    def upscale_video(
        video: FileData,
        model: str = choices.AUTOMATIC,
        size: str = "2x",
        blend: float = 1.0,
        format: str = choices.LIKE_SOURCE,
        codec: str = videos.USUAL,
    ) -> FileData:
        """Enlarge a video; gives the file of the result. The same call goes on with what an earlier one has left.

        Args:
            video: an uploaded file.
            model: one of `models`.
            size: as for `upscale`.
            blend: as for `upscale`.
            format: "like the source", "mp4", "mkv", "mov", "m4v" or "webm".
            codec: "usual", "h264", "hevc", "av1", "vp9" or "prores".

        """
        with context.told():
            wish = VideoRequest(model, size, blend, format, codec)
            upload = context.store.uploaded(_path(video))
            videos.check_video(upload, context.settings)
            place = videos.place_for(context.store, upload, wish)
            job = context.jobs.of(place.owner) or context.jobs.begin(place.owner, context.video_job(place))
            for _ in job.follow():
                pass
            return _file(job.result().path)

    gradio.api(models, api_name="models", queue=False)
    gradio.api(upscale, api_name="upscale", concurrency_id=COMPUTING, concurrency_limit=1)
    gradio.api(upscale_video, api_name="upscale_video", concurrency_id=COMPUTING_VIDEO, concurrency_limit=4)


def _path(given: Any) -> Path:
    """The path in a file's description, as programs hand it in; checked by `Store.uploaded`."""
    path = given.get("path") if isinstance(given, dict) else getattr(given, "path", None)
    return Path(str(path or "nothing"))


def _file(path: Path) -> Any:
    """A file's description, from which programs download it."""
    return FileData(path=str(path), orig_name=path.name, size=path.stat().st_size)
