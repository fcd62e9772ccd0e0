"""The command `fastsr serve`: a page in the browser, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Any

from fastsr.cli.console import say
from fastsr.cli.wrong_call import WrongCallError
from fastsr.errors import FastsrError

_EXAMPLES = """examples:
  fastsr serve                                     on this machine alone, at http://127.0.0.1:7860
  fastsr serve --port 8000 --open
  FASTSR_PASSWORD=... fastsr serve --host 0.0.0.0  for everyone who reaches this machine and knows the password
"""


def add_parser(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "serve",
        help="open a page in the browser, for photos and videos",
        description="Serve a page on which photos and videos are dropped, compared and downloaded, and the same as an "
        "API. Nothing is sent elsewhere, and nobody else reaches it unless --host says so.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=7860, metavar="N", help="0: any free one (default: 7860)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="listen at this address; 0.0.0.0 is for everyone who reaches this machine (default: 127.0.0.1, nobody)",
    )
    parser.add_argument(
        "--password",
        metavar="TEXT",
        help="that visitors log in with; better in $FASTSR_PASSWORD, which no list of processes shows",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--max-megapixels", type=float, default=50, metavar="N", help="of an upload; results: 16 times it (default: 50)"
    )
    limits.add_argument(
        "--max-megabytes", type=float, default=1000, metavar="N", help="of an uploaded file (default: 1000)"
    )
    limits.add_argument("--max-minutes", type=float, default=60, metavar="N", help="of a video (default: 60)")
    limits.add_argument("--max-waiting", type=int, default=20, metavar="N", help="requests that may wait (default: 20)")
    files = parser.add_argument_group("files")
    files.add_argument(
        "--keep-hours",
        type=float,
        default=1,
        metavar="N",
        help="delete uploads and results so long after their last use (default: 1)",
    )
    files.add_argument(
        "--folder", metavar="DIR", help="where they lie (default: web in $FASTSR_CACHE, or in ~/.cache/fastsr)"
    )


def serve(arguments: argparse.Namespace) -> int:
    """Do as `fastsr serve` says, until Ctrl-C; returns the exit code. Raises FastsrError."""
    from fastsr.web.server import Server
    from fastsr.web.settings import Settings

    a = arguments
    names = ("host", "port", "max_megapixels", "max_megabytes", "max_minutes", "max_waiting", "keep_hours")
    options: dict[str, Any] = {name: getattr(a, name) for name in names}
    if a.folder is not None:
        options["folder"] = Path(a.folder)
    try:
        settings = Settings(password=a.password or os.environ.get("FASTSR_PASSWORD", ""), **options)
    except FastsrError as error:
        raise WrongCallError(str(error)) from None
    if not settings.is_local:
        say(
            f"fastsr: --host {a.host}: everyone who reaches this machine and knows the password can use it; what goes "
            "over the network can be read on the way, so put a server with TLS before it where others share that",
            sys.stderr,
        )
    server = Server(settings)
    with contextlib.closing(server), contextlib.suppress(KeyboardInterrupt):
        say(f"fastsr is at {server.url} (Ctrl-C ends it)")
        if a.open:
            webbrowser.open(server.url)
        threading.Event().wait()
    return 0
