"""The route that frames of a camera take: `POST live/TOKEN/KEY?model=NAME`, a JPEG there and one back."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fastsr.errors import FastsrError
from fastsr.web.live import BusyError, Live


def routes(live: Live) -> list[Route]:
    """Starlette's routes, for an app of the caller's."""

    async def frame(request: Request) -> Response:
        given = request.path_params
        if not live.admits(given["token"], given["key"]):
            return PlainTextResponse("reload the page", status_code=403)
        body = await request.body()  # which the guard has bounded
        try:
            made = await asyncio.to_thread(live.enlarged, body, request.query_params.get("model", ""))
        except BusyError as error:
            return PlainTextResponse(str(error), status_code=503)
        except FastsrError as error:
            return PlainTextResponse(str(error), status_code=422)
        return Response(made, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    return [Route("/live/{token}/{key}", frame, methods=["POST"])]
