"""What comes before Gradio: requests that no visitor of the page has a reason to make are refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import urllib.parse
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 1 << 20  # bytes of a request that is no upload
SPARE_DISK = 1 << 30  # bytes that uploads leave free
FILE = "/gradio_api/file="
_PARTS = ("component_server", "custom_component", "deep_link", "dev", "file/", "process_recording", "proxy=", "stream")
_UNUSED = (
    *(f"/gradio_api/{part}" for part in (*_PARTS, "run-history", "runs", "undo-vibe", "vibe-")),
    "/monitoring",
)
"""Doors of Gradio's that this page does not use."""

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""Tells browsers that nothing is loaded from other servers, or sent to them."""

_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(self), microphone=()"),
]


class RefusedError(Exception):
    """A request that is answered with a status and a reason instead."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Guard:
    """Wraps the application. Refuses other sites' requests, addresses to fetch from, and oversized bodies."""

    def __init__(self, app: Application, *, files: Path, local: bool, max_upload: int) -> None:
        """Guard a server whose files lie in `files`; a `local` one answers to this machine's own names alone."""
        self._app, self._files, self._local, self._max_upload = app, files, local, max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            receive = await self._checked(scope, receive)
        except RefusedError as refusal:
            await _answer(send, refusal)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    async def _checked(self, scope: Scope, receive: Receive) -> Receive:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        path, host = scope["path"], headers.get(b"host", "")
        if self._local and urllib.parse.urlsplit(f"//{host}").hostname not in ("localhost", "127.0.0.1", "::1"):
            raise RefusedError(403, "this server answers to localhost alone")  # another site's name led here
        origin = headers.get(b"origin")
        if origin is not None and urllib.parse.urlsplit(origin).netloc != host:
            raise RefusedError(403, "requests of other sites are refused")
        if path.startswith(_UNUSED):
            raise RefusedError(404, "not here")
        if path.startswith(FILE):
            await asyncio.to_thread(self._use, path.removeprefix(FILE))
        if scope["method"] != "POST":
            return receive
        if path.rstrip("/").endswith("/upload"):
            free = shutil.disk_usage(self._files).free - SPARE_DISK
            length = headers.get(b"content-length", "")
            if not length.isdecimal() or int(length) > min(free, self._max_upload + MAX_BODY):
                raise RefusedError(413, "the upload is larger than this server takes, or its disk has room for")
            return receive
        return await _checked_body(receive)

    def _use(self, name: str) -> None:
        """Note that a session's file was asked for, so that it is kept; refuse what is no file of a session."""
        try:
            inside = Path(name).resolve(strict=True).relative_to(self._files).parts
        except (OSError, ValueError):
            raise RefusedError(404, "not here, or not any more") from None
        if len(inside) < 2 or any(part.startswith(".") for part in inside):
            raise RefusedError(404, "not here, or not any more")
        with contextlib.suppress(OSError):
            os.utime(self._files / inside[0])


async def _checked_body(receive: Receive) -> Receive:
    """A request's whole body, which is short and names no address that the server would fetch from."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedError(400, "the request was broken off")
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > MAX_BODY:
            raise RefusedError(413, "the request is too large; files are uploaded first")
    try:
        named = _addresses(json.loads(body)) if body else False
    except (ValueError, RecursionError):
        named = False  # a form; or what the application refuses itself
    if named:
        raise RefusedError(400, "files are uploaded, not fetched from an address")
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


def _addresses(value: Any) -> bool:
    """Whether a file is named by an address, at any depth."""
    if isinstance(value, dict):
        path = value.get("path")
        return (isinstance(path, str) and "://" in path) or any(map(_addresses, value.values()))
    return isinstance(value, list) and any(map(_addresses, value))


async def _answer(send: Send, refusal: RefusedError) -> None:
    text = str(refusal).encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode()), *_HEADERS]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
