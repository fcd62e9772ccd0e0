"""What programs call: the named endpoints of the page, typed; their docstrings are what its API page shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio
from gradio import FileData

from fastsr.web import choices, photos
from fastsr.web.context import COMPUTING, Context
from fastsr.web.jobs import Job
from fastsr.web.photos import MadePhoto, PhotoRequest
from fastsr.web.store import safe_name

JOBS = "api"


def add(context: Context) -> None:
    """Add the endpoints to the Blocks at hand."""

    def models() -> dict[str, str]:
        """The models that can be chosen, with a line on each."""
        with context.told():
            return choices.model_lines()

    def upscale(
        request: gradio.Request,
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
            request: of the program.
            photo: an uploaded file.
            model: one of `models`.
            size: a factor such as "2x", or pixels: "1920x1080" (fits in), "1920x", "x1080".
            realism: 0 (faithful) to 1 (most detail), for models that have it.
            blend: share of the model's result, 0 to 1; the rest is bicubic interpolation's.
            format: "like the photo", "png", "jpg", "webp", "avif" or "tif".
            quality: 1 to 100, for jpg, webp and avif.

        """
        with context.told():
            wish = PhotoRequest(model, size, realism, blend, format, quality)
            source = context.store.uploaded(_path(photo))
            folder = context.store.session(context.store.new_token())

            def work(job: Job[MadePhoto]) -> MadePhoto:
                original = context.store.link(source, folder, safe_name(source.name))
                with context.jobs.computing(job):
                    return photos.make(original, folder, wish, context.settings, job, seen=False)

            with context.store.in_use(folder):
                return _file(context.jobs.run(f"{request.session_hash} {JOBS}", Job(work)).path)

    gradio.api(models, api_name="models", queue=False)
    gradio.api(upscale, api_name="upscale", concurrency_id=COMPUTING, concurrency_limit=1)


def _path(given: Any) -> Path:
    """The path in a file's description, as programs hand it in; checked by `Store.uploaded`."""
    path = given.get("path") if isinstance(given, dict) else getattr(given, "path", None)
    return Path(str(path or "nothing"))


def _file(path: Path) -> Any:
    """A file's description, from which programs download it."""
    return FileData(path=str(path), orig_name=path.name, size=path.stat().st_size)
