"""The tab for videos: a still before and after, then the whole, which goes on when the page is closed."""

from __future__ import annotations

import html
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio

from fastsr.errors import FastsrError
from fastsr.web import choices, inputs, photos, texts, videos, viewer
from fastsr.web.context import COMPUTING_VIDEO, GLANCE, HIDDEN, Context
from fastsr.web.jobs import Job, StoppedError
from fastsr.web.photos import MadePhoto, PhotoRequest
from fastsr.web.sessions import Session
from fastsr.web.videos import MadeVideo, VideoPlace, VideoRequest

STILLS = "still"
STILL_SIDE = 1600  # pixels of the part of an enlarged still that is shown, at most
HINT = "Drop a video. A frame of it is then shown, before and after."
_MIME = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm", ".mkv": "video/webm"}


class VideoTab:
    """Its components and what they do."""

    def __init__(self, context: Context, session: Any) -> None:
        """Lay it out, in a tab; `session` is the component that holds the session's token."""
        self._context, self._session = context, session
        with gradio.Row():
            with gradio.Column(scale=2, min_width=260):
                self._file = gradio.File(label="Video: drop or choose", elem_id="video")
                self.model = inputs.model("video")
                self._size = inputs.size("video", "2x")
                with gradio.Accordion("More", open=False, elem_id="video-more"):
                    self._blend = inputs.strength()
                    self._format = gradio.Dropdown(videos.FORMATS, value=choices.LIKE_SOURCE, label="Format")
                    self._codec = gradio.Dropdown(
                        videos.CODEC_CHOICES, value=videos.USUAL, label="Codec", info="usual: h264, of webm vp9"
                    )
                self._run, self._stop = inputs.run_and_stop("video")
            with gradio.Column(scale=3, min_width=260):
                self._status = gradio.HTML(texts.progress(HINT), elem_id="video-status")
                self._shown = gradio.HTML(visible=False, elem_id="video-shown")
                self._result = gradio.File(label="Result", interactive=False, visible=False, elem_id="video-result")
        self._connect()

    def _connect(self) -> None:
        asked = [self.model, self._size, self._blend, self._format, self._codec]
        still = {
            "fn": self._still,
            "inputs": [self._session, self._file, self.model, self._size, self._blend],
            "outputs": [self._shown, self._status],
            "trigger_mode": "always_last",
            "concurrency_id": GLANCE,
            "show_progress": "hidden",
            **HIDDEN,
        }
        self._file.change(**still)
        self._session.change(**{**still, "fn": self._still_of_early})
        for component in (self.model, self._size):
            component.change(**still)
        self._blend.release(**still)
        begun = self._run.click(_busy, None, [self._run, self._stop], queue=False, **HIDDEN)
        made = begun.then(
            self._make,
            [self._session, self._file, *asked],
            self.restored,
            concurrency_id=COMPUTING_VIDEO,
            concurrency_limit=4,  # who follows; only one computes
            show_progress="minimal",
            show_progress_on=[self._status],
            **HIDDEN,
        )
        for ended in (made.success, made.failure):  # `then` does not follow a failure
            ended(_idle, None, [self._run, self._stop], queue=False, **HIDDEN)
        self._stop.click(self._stopped, [self._session], [self._status], queue=False, **HIDDEN)

    @property
    def restored(self) -> list[Any]:
        """The components that `follow` fills."""
        return [self._shown, self._status, self._result, self._run, self._stop]

    def follow(self, token: str) -> Iterator[Any]:
        """For a page that was just opened: how far the session's video is, until it is finished; or how to go on."""
        folder = Session(self._context.store.session(token)).video()
        place = None if folder is None else videos.known_place(self._context.store.files / folder)
        yield [gradio.skip()] * len(self.restored)  # a generator that gives nothing would empty them
        if place is None:
            return
        job = self._context.jobs.of(place.owner)
        if job is not None:
            yield from self._followed(place, job)
            return
        made = videos.finished(place)
        if made is not None:
            yield self._finished(place, made)
        elif place.begun:
            text = f"{place.name} is not finished. Enlarge goes on with it."
            yield gradio.skip(), texts.progress(text), gradio.skip(), *_idle()

    def _still_of_early(self, request: gradio.Request, token: str, file: str | None, *asked: Any) -> Any:
        """Of what was dropped before the page had its session."""
        return self._still(request, token, file, *asked) if file else (gradio.skip(), gradio.skip())

    def _still(
        self, request: gradio.Request, token: str | None, file: str | None, model: str, size: str, blend: float
    ) -> Any:
        if token is None:  # `_still_of_early` follows
            return gradio.skip(), gradio.skip()
        if not file:
            return gradio.update(value="", visible=False), texts.progress(HINT)
        with self._context.told():
            upload = self._context.store.uploaded(file)
            folder = Session(self._context.store.session(token)).place()
            wish = PhotoRequest(model, size, blend=1 if model in choices.INTERPOLATIONS else float(blend))

            def work(job: Job[MadePhoto]) -> MadePhoto:
                frame = videos.still(upload, folder, self._context.settings)
                job.check()
                return photos.preview(frame, folder, wish, self._context.settings, job, STILL_SIDE)

            part = self._context.jobs.run(f"{request.session_hash} {STILLS}", Job(work, upload.name))
            facts = videos.check_video(upload, self._context.settings)
        sizes = " to ".join(f"{width} x {height}" for width, height in (part.source_size, part.size))
        length = "" if facts.seconds is None else f", {texts.duration(facts.seconds)}"
        text = f"{upload.name}{length}: {sizes} pixels. This is a frame of it; Enlarge makes all of it."
        view = viewer.html(self._context.views.add(part.original, part.path), after=part.model, name=upload.name)
        return gradio.update(value=view, visible=True), texts.progress(text)

    def _make(
        self, token: str, file: str | None, model: str, size: str, blend: float, format: str, codec: str
    ) -> Iterator[Any]:
        with self._context.told():
            session = Session(self._context.store.session(token))
            if file:
                blend = 1 if model in choices.INTERPOLATIONS else blend
                wish = VideoRequest(model, size, float(blend), format, codec)
                upload = self._context.store.uploaded(file)
                videos.check_video(upload, self._context.settings)
                place = videos.place_for(self._context.store, upload, wish)
            else:
                place = self._unfinished(session)
            session.note_video(place.folder.name)
            job = self._context.jobs.of(place.owner)
            if job is None:
                job = self._context.jobs.begin(place.owner, self._context.video_job(place))
        yield from self._followed(place, job)

    def _unfinished(self, session: Session) -> VideoPlace:
        folder = session.video()
        place = None if folder is None else videos.known_place(self._context.store.files / folder)
        if place is None or not place.begun:
            raise FastsrError("there is no video yet; drop one, or choose one, first")
        return place

    def _followed(self, place: VideoPlace, job: Job[MadeVideo]) -> Iterator[Any]:
        keep = gradio.skip()
        for _ in job.follow():
            yield keep, texts.progress(texts.how_far(place.name, job, "frame"), job.share), keep, *_busy()
        try:
            yield self._finished(place, job.result())
        except StoppedError:
            text = f"Stopped. Enlarge goes on with {place.name}." if place.begun else "Stopped."
            yield keep, texts.progress(text), keep, *_idle()
        except Exception as error:
            text = self._context.fault_text(error)
            yield keep, texts.progress("") + texts.faults([text]), keep, *_idle()

    def _finished(self, place: VideoPlace, made: MadeVideo) -> Any:
        told = [f"{made.path.name}: {made.size[0]} x {made.size[1]} pixels, {texts.size_on_disk(made.path)}"]
        if made.frames:
            told.append(f"{made.frames} frames by {made.model} in {texts.duration(made.seconds)}")
        if made.resumed:
            told.append(f"{made.resumed} of them by an earlier run")
        notes = [self._context.fault_text(FastsrError(note)) for note in made.notes]
        return (
            gradio.update(value=_player(made.path), visible=True),
            texts.progress("; ".join(told)) + texts.faults(notes),
            gradio.update(value=str(made.path), visible=True),
            *_idle(),
        )

    def _stopped(self, token: str) -> Any:
        folder = Session(self._context.store.session(token)).video()
        if folder is not None:
            self._context.jobs.stop(folder)
        return texts.progress("Stopping; what is done is kept.")


def _player(path: Path) -> str:
    address = html.escape(f"gradio_api/file={urllib.parse.quote(str(path))}")
    kind = _MIME.get(path.suffix.lower(), "video/mp4")
    return (
        f'<video class="player" controls preload="metadata" aria-label="{html.escape(path.name)}">'
        f'<source src="{address}" type="{kind}">This browser cannot play it; download it.</video>'
    )


def _busy() -> tuple[Any, Any]:
    return gradio.update(interactive=False), gradio.update(interactive=True)


def _idle() -> tuple[Any, Any]:
    return gradio.update(interactive=True), gradio.update(interactive=False)
