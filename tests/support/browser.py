"""A headless Chromium for tests, and a server of ours in a thread for it to visit."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")  # a moving pattern, without asking


def missing() -> str | None:
    """Why there is no browser to test with; None where there is one."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "needs: pip install playwright"
    return None if _path() else "no Chromium was found (apt-get install chromium, or FASTSR_BROWSER=its path)"


def _path() -> str | None:
    return os.environ.get("FASTSR_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser of Playwright; skips where there is none, unless FASTSR_REQUIRE_BROWSER=1 makes that a failure."""
    reason = missing()
    if reason is not None:
        (pytest.fail if os.environ.get("FASTSR_REQUIRE_BROWSER") == "1" else pytest.skip)(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # containers often lack what its own sandbox needs; all it visits is ours
        browser = playwright.chromium.launch(executable_path=_path(), args=["--no-sandbox", *CAMERA])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """What a page asked for and complained of."""

    def __init__(self, page: Any) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))

    @property
    def elsewhere(self) -> list[str]:
        """Requests that left this machine."""
        own = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:")
        return [url for url in self.requests if not url.startswith(own)]


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of an ASGI application that is served as long as the context lasts."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
