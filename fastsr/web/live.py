"""Live: frames of the visitor's camera, each sent by the page, enlarged and sent back before the next one."""

from __future__ import annotations

import hmac
import io
from html import escape

import fastsr
from fastsr import images
from fastsr.errors import FastsrError
from fastsr.web.jobs import Job, StoppedError, Turns
from fastsr.web.store import Store

MODELS = ("live-x2", "live-x4", "fast-x2", "fast-x4", "bicubic")  # that may keep up
MAX_PIXELS = 640 * 480  # of a frame of the camera
PATIENCE = 1.0  # seconds that a frame waits while something else is made
QUALITY = 90  # of the JPEG that is sent back


class BusyError(FastsrError):
    """Something else is made at the moment."""


class Live:
    """Enlarges frames for sessions that were opened on the page."""

    def __init__(self, store: Store, turns: Turns) -> None:
        """One that lets what is in `turns` go before it."""
        self._store, self._turns = store, turns

    def element(self, token: str) -> str:
        """The HTML of the camera's view, for a session."""
        return (
            f'<fastsr-live key="{self._key(token)}" token="{escape(token)}" models="{" ".join(MODELS)}"></fastsr-live>'
        )

    def _key(self, token: str) -> str:
        return self._store.keyed(f"live {token}")

    def admits(self, token: str, key: str) -> bool:
        """Whether the page gave this key to this session."""
        return hmac.compare_digest(self._key(token).encode(), key.encode())

    def enlarged(self, frame: bytes, model: str) -> bytes:
        """A frame as a JPEG file, enlarged by the model's own factor. Raises FastsrError; BusyError to try again."""
        if model not in MODELS:
            raise FastsrError(f"unknown model {model!r}; there are: {', '.join(MODELS)}")
        image = images.read(io.BytesIO(frame))
        if image.size[0] * image.size[1] > MAX_PIXELS:
            raise FastsrError("the camera's frame is too large")
        waiting: Job[None] = Job(lambda job: None)
        try:
            with self._turns.turn(waiting, PATIENCE):
                upscaler = fastsr.load(model, video=True)
                made = image.restore(upscaler.enlarge(image))
        except StoppedError:
            raise BusyError("busy with something else") from None
        sent = io.BytesIO()
        made.convert("RGB").save(sent, "JPEG", quality=QUALITY)
        return sent.getvalue()
