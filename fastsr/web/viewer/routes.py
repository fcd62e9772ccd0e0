"""Routes of the viewer: its files, and the pages, sizes and tiles of the views that a store knows."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fastsr.errors import ImageError
from fastsr.web.viewer import markup
from fastsr.web.viewer.pyramid import TILE
from fastsr.web.viewer.tiles import OVERLAP, SIDES, View, view_of

_FOLDER = Path(__file__).parent
_SCRIPT, _STYLE = "text/javascript", "text/css"
# Nothing else of the disk is served: names from outside are looked up here, never joined to a path.
_FILES = {
    "viewer.js": ("page/viewer.js", _SCRIPT),
    "slider.js": ("page/slider.js", _SCRIPT),
    "toolbar.js": ("page/toolbar.js", _SCRIPT),
    "viewer.css": ("page/viewer.css", _STYLE),
    "page.css": ("page/page.css", _STYLE),
    "openseadragon.min.js": ("openseadragon/openseadragon.min.js", _SCRIPT),
}
_KEY = re.compile(r"[A-Za-z0-9_-]{16,128}")
_NUMBER = re.compile(r"[0-9]{1,6}")
# OpenSeadragon adds a style of its own to the page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)


class Store(Protocol):
    """What is there to see; a dict will do."""

    def get(self, key: str, /) -> tuple[Path, Path] | None:
        """The files of the original and of its result, by an unguessable key; None: unknown, or no longer there.

        What lies at a path is written once. The files are images of at most as many pixels as memory holds.
        """
        ...


def routes(store: Store, prefix: str = "/viewer") -> list[Route]:
    """Starlette's routes of the viewer, for an app of the caller's.

    `{prefix}/files/...` are scripts and styles; `{prefix}/{key}/` is a page with the view alone, with its size and
    tiles below. A key is all that is asked for: whoever knows it sees the view. Keys are 16 to 128 letters, digits,
    "-" and "_", such as `secrets.token_urlsafe()` makes; any other is not found.
    """
    answers: dict[str, Callable[..., Response]] = {
        "/{key}/": _page,
        "/{key}/view.json": _size,
        "/{key}/{side}/{level}/{column}/{row}.png": _tile,
    }
    made = [Route(f"{prefix}/files/{{name}}", _file)]
    # functions that are not async: Starlette runs them in threads, beside its own loop
    return made + [Route(prefix + path, partial(_of_view, store, answer)) for path, answer in answers.items()]


def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _FILES:
        return _not_found("file")
    path, kind = _FILES[name]
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return Response((_FOLDER / path).read_bytes(), media_type=kind, headers=headers)


def _of_view(store: Store, answer: Callable[..., Response], request: Request) -> Response:
    """The answer on a view, or 404 where there is none of this key."""
    key = request.path_params["key"]
    files = store.get(key) if _KEY.fullmatch(key) else None
    if files is None:
        return _not_found("view")
    try:
        made = answer(request, *files)
    except ImageError as error:
        if not all(file.exists() for file in files):  # deleted in the meantime
            return _not_found("view")
        # the message names the file as the user knows it, not where it lies here
        text = str(error)
        for file in files:
            text = text.replace(str(file), file.name)
        return PlainTextResponse(text, status_code=422)
    except FileNotFoundError:
        return _not_found("view")
    made.headers["X-Content-Type-Options"] = "nosniff"
    made.headers["Referrer-Policy"] = "no-referrer"  # the address is all that opens the view
    return made


def _page(request: Request, original: Path, result: Path) -> Response:
    text = markup.page(request.path_params["key"], name=original.name)
    return Response(text, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


def _size(request: Request, original: Path, result: Path) -> Response:
    view = view_of(original, result)
    content: dict[str, Any] = {
        "width": view.size[0],
        "height": view.size[1],
        "tile": TILE,
        "overlap": OVERLAP,
        "levels": view.levels,
        "original": view.original.size,
        "transparent": view.result.channels in (2, 4),
    }
    return JSONResponse(content, headers={"Cache-Control": "no-store"})


def _tile(request: Request, original: Path, result: Path) -> Response:
    given = request.path_params
    numbers = [given[name] for name in ("level", "column", "row")]
    if given["side"] not in SIDES or not all(_NUMBER.fullmatch(number) for number in numbers):
        return _not_found("tile")
    view: View = view_of(original, result)
    try:
        png = view.tile(given["side"], *map(int, numbers))
    except IndexError:
        return _not_found("tile")
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


def _not_found(what: str) -> Response:
    return PlainTextResponse(f"no such {what}; it may have been deleted since", status_code=404)
