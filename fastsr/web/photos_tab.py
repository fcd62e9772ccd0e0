"""The tab for photos: what is dropped is shown at once in part, enlarged on demand, and kept in the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio

from fastsr.errors import FastsrError
from fastsr.web import choices, inputs, photos, texts, viewer
from fastsr.web.context import COMPUTING, GLANCE, HIDDEN, Context
from fastsr.web.jobs import Job, StoppedError
from fastsr.web.photos import MadePhoto, PhotoRequest
from fastsr.web.sessions import Session
from fastsr.web.store import safe_name

JOBS, PREVIEWS = "photos", "preview"
_DOWNLOAD = "() => setTimeout(() => document.querySelector('#photo-zip').click(), 100)"
HINT = "Drop a photo. A part of it is then shown enlarged, before and after."


class PhotosTab:
    """Its components and what they do."""

    def __init__(self, context: Context, session: Any) -> None:
        """Lay it out, in a tab; `session` is the component that holds the session's token."""
        self._context, self._session = context, session
        with gradio.Row():
            with gradio.Column(scale=2, min_width=260):
                self._files = gradio.File(label="Photos: drop or paste", file_count="multiple", elem_id="photos")
                self.model = inputs.model("photo")
                self._size = inputs.size("photo", "4x")
                with gradio.Accordion("More", open=False, elem_id="photo-more"):
                    self._realism = gradio.Slider(
                        0, 1, 1, step=0.05, label="Realism", info="0 faithful, 1 most detail", visible=False
                    )
                    self._blend = inputs.strength()
                    self._format = gradio.Dropdown(choices.FORMATS, value=choices.LIKE_SOURCE, label="Format")
                    self._quality = gradio.Slider(1, 100, 90, step=1, label="Quality", visible=False)
                self._run, self._stop = inputs.run_and_stop("photo")
            with gradio.Column(scale=3, min_width=260):
                self._status = gradio.HTML(texts.progress(HINT), elem_id="photo-status")
                self._compare = gradio.HTML(visible=False, elem_id="photo-compare")
                self._results = gradio.File(
                    label="Results", file_count="multiple", interactive=False, visible=False, elem_id="photo-results"
                )
                self._chosen = gradio.Dropdown(label="Shown", visible=False, elem_id="photo-chosen")
                with gradio.Row(visible=False) as self._all:
                    self._pack = gradio.Button("All as a zip", size="md", min_width=120, elem_id="photo-pack")
                    self._clear = gradio.Button("Forget these", size="md", min_width=120, elem_id="photo-clear")
                self._zip = gradio.DownloadButton(visible="hidden", elem_id="photo-zip")
        self._connect()

    def _connect(self) -> None:
        asked = [self.model, self._size, self._realism, self._blend, self._format, self._quality]
        shown = [self._compare, self._status]
        listed = self.restored
        glance = {"queue": True, "concurrency_id": GLANCE, "concurrency_limit": 1, "show_progress": "hidden", **HIDDEN}
        preview = {
            "fn": self._preview,
            "inputs": [self._session, self._files, *asked],
            "outputs": shown,
            "trigger_mode": "always_last",
            **glance,
        }
        self._files.change(**preview)
        self._session.change(**{**preview, "fn": self._preview_of_early})
        for component in (self.model, self._size):
            component.change(**preview)
        for slider in (self._realism, self._blend):
            slider.release(**preview)
        self.model.change(_offers, [self.model], [self._realism, self._blend], queue=False, **HIDDEN)
        self._format.change(_asks_quality, [self._format, self._files], [self._quality], queue=False, **HIDDEN)
        begun = self._run.click(_busy, None, [self._run, self._stop], queue=False, **HIDDEN)
        made = begun.then(
            self._make,
            [self._session, self._files, *asked],
            [*shown, *listed],
            concurrency_id=COMPUTING,
            concurrency_limit=1,
            show_progress="minimal",
            show_progress_on=[self._status],
            **HIDDEN,
        )
        for ended in (made.success, made.failure):  # `then` does not follow a failure
            ended(_idle, None, [self._run, self._stop], queue=False, **HIDDEN)
        self._stop.click(
            self._stopped, None, [self._status, self._run, self._stop], queue=False, cancels=[made], **HIDDEN
        )
        packed = self._pack.click(self._archive, [self._session], [self._zip], show_progress="hidden", **HIDDEN)
        packed.success(None, js=_DOWNLOAD, **HIDDEN)
        self._clear.click(self._forget, [self._session], listed, queue=False, **HIDDEN)
        self._chosen.input(self._choose, [self._session, self._chosen], shown, queue=False, **HIDDEN)

    @property
    def restored(self) -> list[Any]:
        """The components that `restore` fills."""
        return [self._results, self._chosen, self._all]

    def restore(self, token: str) -> list[Any]:
        """What a session has, for a page that was just opened."""
        return _listed(Session(self._context.store.session(token)))

    def _preview_of_early(self, request: gradio.Request, token: str, files: list[str] | None, *asked: Any) -> Any:
        """Of what was dropped before the page had its session."""
        return self._preview(request, token, files, *asked) if files else (gradio.skip(), gradio.skip())

    def _preview(self, request: gradio.Request, token: str | None, files: list[str] | None, *asked: Any) -> Any:
        if token is None:  # `_preview_of_early` follows
            return gradio.skip(), gradio.skip()
        if not files:
            return gradio.update(value="", visible=False), texts.progress(HINT)
        source = Path(files[0])
        with self._context.told():
            source = self._context.store.uploaded(source)
            wish = _request(*asked)
            folder = self._context.store.session(token)
            job = Job(
                lambda job: photos.preview(source, Session(folder).place(), wish, self._context.settings, job),
                source.name,
            )
            part = self._context.jobs.run(_owner(request, PREVIEWS), job)
        count = f", the first of {len(files)}" if len(files) > 1 else ""
        sizes = " to ".join(f"{width} x {height}" for width, height in (part.source_size, part.size))
        text = f"{source.name}{count}: {sizes} pixels. This is a part of it; Enlarge makes all of it."
        return self._view_of(part), texts.progress(text)

    def _make(self, request: gradio.Request, token: str, files: list[str] | None, *asked: Any) -> Iterator[Any]:
        keep = gradio.skip()
        with self._context.told():
            if not files:
                raise FastsrError("there is no photo yet; drop one, or choose one, first")
            wish = _request(*asked)
            session = Session(self._context.store.session(token))
        faults: list[str] = []
        done = 0
        shown: Any = keep
        with self._context.store.in_use(session.folder):
            for number, name in enumerate(files, 1):
                source = Path(name)
                what = f"{source.name} ({number} of {len(files)})" if len(files) > 1 else source.name
                try:
                    job = self._context.jobs.begin(_owner(request), self._job(session, source, wish))
                    try:
                        for _ in job.follow():
                            yield keep, texts.progress(texts.how_far(what, job), job.share), *[keep] * 3
                    finally:  # where the visitor has left
                        job.stop()
                    made = job.result()
                except StoppedError:
                    faults.append("stopped")
                    break
                except Exception as error:
                    faults.append(self._context.fault_text(error))
                    continue
                session.add(made)
                done += 1
                shown = self._view_of(made)
                yield shown, texts.progress(f"{what}: done", 1.0), *_listed(session)
        said = f"{done} of {len(files)} made" if faults else _said(session.results()[-1])
        yield shown, texts.progress(said) + texts.faults(faults), *_listed(session)

    def _job(self, session: Session, source: Path, wish: PhotoRequest) -> Job[MadePhoto]:
        context = self._context

        def work(job: Job[MadePhoto]) -> MadePhoto:
            upload = context.store.uploaded(source)
            place = session.place()
            original = context.store.link(upload, place, safe_name(upload.name))
            with context.jobs.turns.turn(job):
                return photos.make(original, place, wish, context.settings, job, seen=True)

        return Job(work, source.name)

    def _stopped(self, request: gradio.Request) -> Any:
        self._context.jobs.stop(_owner(request))
        return texts.progress("Stopped."), *_idle()

    def _archive(self, token: str) -> str:
        with self._context.told():
            return str(Session(self._context.store.session(token)).archive())

    def _forget(self, token: str) -> list[Any]:
        with self._context.told():
            session = Session(self._context.store.session(token))
        session.clear()
        return _listed(session)

    def _choose(self, token: str, number: int) -> Any:
        with self._context.told():
            results = Session(self._context.store.session(token)).results()
        if not 0 <= number < len(results):
            return gradio.skip(), gradio.skip()
        return self._view_of(results[number]), texts.progress(_said(results[number]))

    def _view_of(self, made: MadePhoto) -> Any:
        key = self._context.views.add(made.original, made.path)
        return gradio.update(value=viewer.html(key, after=made.model, name=made.path.name), visible=True)


def _owner(request: gradio.Request, what: str = JOBS) -> str:
    return f"{request.session_hash} {what}"


def _request(
    model: str, size: str, realism: float, blend: float, format: str | None = None, quality: int | None = None
) -> PhotoRequest:
    if model in choices.INTERPOLATIONS:
        blend = 1
    return PhotoRequest(model, size, float(realism), float(blend), format, None if quality is None else int(quality))


def _said(made: MadePhoto) -> str:
    return (
        f"{made.path.name}: {made.size[0]} x {made.size[1]} pixels by {made.model} in {texts.duration(made.seconds)}, "
        f"{texts.size_on_disk(made.path)}"
    )


def _listed(session: Session) -> list[Any]:
    """The files of the results, which of them is shown, and what concerns them all."""
    results = session.results()
    paths = [str(made.path) for made in results]
    names = [(made.path.name, number) for number, made in enumerate(results)]
    return [
        gradio.update(value=paths or None, visible=bool(results)),
        gradio.update(choices=names, value=len(names) - 1 if names else None, visible=len(names) > 1),
        gradio.update(visible=bool(results)),
    ]


def _offers(model: str) -> tuple[Any, Any]:
    return gradio.update(visible=choices.has_realism(model)), gradio.update(visible=model not in choices.INTERPOLATIONS)


def _asks_quality(format: str, files: list[str] | None) -> Any:
    suffix = choices.suffix_for(format, Path(files[0]).suffix if files else "")
    return gradio.update(visible=suffix in (".jpg", ".jpeg", ".webp", ".avif"))


def _busy() -> tuple[Any, Any]:
    return gradio.update(interactive=False), gradio.update(interactive=True)


def _idle() -> tuple[Any, Any]:
    return gradio.update(interactive=True), gradio.update(interactive=False)
