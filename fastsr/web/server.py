"""The server: Gradio, set up to send nothing anywhere, behind the guard."""

from __future__ import annotations

import hmac
import os
import socket
import time
import urllib.parse
from typing import Any

from fastsr.errors import FastsrError
from fastsr.web import limits
from fastsr.web.live import Live
from fastsr.web.settings import Settings
from fastsr.web.store import Store
from fastsr.web.views import Views

MISSING = 'the page needs Gradio: pip install "fastsr[web]"'
LOGIN_PAUSE = 1.0  # seconds that a wrong password costs


class Server:
    """A server that is up until it is closed; it serves from threads of its own."""

    def __init__(self, settings: Settings) -> None:
        """Start it. Raises FastsrError where Gradio is missing, the folder cannot be written or the port is taken."""
        self.settings = settings
        self.store = Store(settings.folder, settings.keep_hours)
        _check_port(settings)
        _quiet(self.store)
        try:
            from starlette.middleware import Middleware

            from fastsr.web import context, live_route, page, theme, viewer
        except ImportError as error:
            raise FastsrError(f"{MISSING} ({error})") from None
        from fastsr.web.guard import Guard

        limits.prepare(settings)
        self.store.sweep_regularly()
        shared = context.Context(settings, self.store, Views(self.store))
        camera = Live(self.store, shared.jobs.turns)
        self._blocks = page.build(shared, camera)
        guard = Middleware(
            Guard,
            files=self.store.files,
            local=settings.is_local,
            max_upload=round(settings.max_megabytes * 1e6),
        )
        self._blocks.queue(max_size=settings.max_waiting, default_concurrency_limit=4)
        self._blocks.launch(
            server_name=settings.host,
            server_port=settings.port or _free_port(settings.host),
            auth=_login(settings.password) if settings.password else None,
            auth_message="Any user name will do.",
            max_file_size=round(settings.max_megabytes * 1e6),
            app_kwargs={"middleware": [guard], "routes": [*viewer.routes(shared.views), *live_route.routes(camera)]},
            footer_links=["api", "settings"],
            prevent_thread_lock=True,
            quiet=True,
            inline=False,
            share=False,
            show_error=True,
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            ssr_mode=False,
            num_workers=0,
            pwa=False,
            allowed_paths=[],
            root_path="",
            state_session_capacity=200,
            **theme.look(),
        )

    @property
    def url(self) -> str:
        """Where it is reached from this machine."""
        return str(self._blocks.local_url)

    def close(self) -> None:
        """Stop serving."""
        self._blocks.close(verbose=False)


def _quiet(store: Store) -> None:
    """Switch off, before Gradio is imported, whatever it and what it brings along would tell others."""
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED="False",
        GRADIO_RUN_HISTORY="False",
        GRADIO_SHARE="False",
        GRADIO_TEMP_DIR=str(store.files),
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_OFFLINE="1",
    )


def _login(password: str) -> Any:
    def check(_: str, given: str) -> bool:
        right = hmac.compare_digest(given.encode(), password.encode())
        if not right:
            time.sleep(LOGIN_PAUSE)
        return right

    return check


def _check_port(settings: Settings) -> None:
    """Raise FastsrError where nothing can listen."""
    host = settings.host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        where = urllib.parse.quote(host, safe=":.")
        raise FastsrError(
            f"cannot listen at {where}, port {settings.port} ({error.strerror or error}); choose others"
        ) from None


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host.strip("[]"), 0))
        return int(probe.getsockname()[1])
