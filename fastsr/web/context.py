"""What the parts of the page share: settings, files, jobs; and how an error reaches the visitor."""

from __future__ import annotations

import contextlib
import dataclasses
import html
import logging
from collections.abc import Iterator

import gradio

from fastsr.errors import FastsrError
from fastsr.web import videos
from fastsr.web.jobs import Job, Jobs, StoppedError
from fastsr.web.settings import Settings
from fastsr.web.store import Store
from fastsr.web.texts import without_paths
from fastsr.web.videos import MadeVideo, VideoPlace
from fastsr.web.views import Views

COMPUTING = "computing"  # the queue of photos, one at a time
COMPUTING_VIDEO = "computing video"  # that of videos, which let photos go before them at every frame
GLANCE = "glance"  # that of previews, which take a second and need not wait for it
HIDDEN = {"api_visibility": "private"}  # what only the page calls; others call what `api` offers

_log = logging.getLogger("fastsr.web")


@dataclasses.dataclass(frozen=True)
class Context:
    """Of one server."""

    settings: Settings
    store: Store
    views: Views
    jobs: Jobs = dataclasses.field(default_factory=Jobs)

    def video_job(self, place: VideoPlace) -> Job[MadeVideo]:
        """What makes a video, whether the page stays open or not."""

        def work(job: Job[MadeVideo]) -> MadeVideo:
            with self.store.in_use(place.folder):
                return videos.finished(place) or videos.make(place, self.settings, self.jobs.turns, job)

        return Job(work, place.name)

    def fault_text(self, error: Exception) -> str:
        """What to tell the visitor; what is no fault of theirs goes to the server's log, with what helps to find it."""
        if isinstance(error, FastsrError):
            return without_paths(str(error), self.store.files)
        if isinstance(error, MemoryError):
            return "not enough memory; ask for a smaller size"
        _log.error("a request failed", exc_info=error)
        return f"this failed ({type(error).__name__}); the server's log says more"

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Turn what goes wrong into a message on the page."""
        try:
            yield
        except gradio.Error:
            raise
        except StoppedError:
            raise gradio.Error("stopped", title="Stopped", duration=3, print_exception=False) from None
        except Exception as error:
            text = html.escape(self.fault_text(error), quote=False)
            raise gradio.Error(text, title="This does not work", print_exception=False) from None
