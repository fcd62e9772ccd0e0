"""The page: a tab for each thing that one comes for, and the session that they share."""

from __future__ import annotations

from typing import Any

import gradio

from fastsr.errors import FastsrError
from fastsr.web import api, choices, models_tab, photos_tab, video_tab
from fastsr.web.context import HIDDEN, Context
from fastsr.web.live import Live
from fastsr.web.models_tab import ModelsTab
from fastsr.web.photos_tab import PhotosTab
from fastsr.web.video_tab import VideoTab

TITLE = "fastsr"
SUBTITLE = "Photos and videos, larger and sharp. Everything stays on this machine."


def build(context: Context, live: Live) -> Any:
    """The page as Gradio's Blocks, not yet served."""
    store = context.store
    with gradio.Blocks(title=TITLE, analytics_enabled=False) as blocks:
        gradio.HTML(f'<h1>{TITLE}</h1><p id="subtitle">{SUBTITLE}</p>', elem_id="title")
        session = gradio.BrowserState(None, storage_key="fastsr-session", secret=store.page_secret)
        with gradio.Tabs():
            with gradio.Tab("Photos", id="photos"):
                photos = PhotosTab(context, session)
            with gradio.Tab("Video", id="video"):
                video = VideoTab(context, session)
            with gradio.Tab("Live", id="live"):
                camera = gradio.HTML(elem_id="live")
            with gradio.Tab("Models", id="models"):
                ModelsTab(context, session, [photos.model, video.model])

        def opened(token: str | None) -> list[Any]:
            try:
                store.session(token)
            except FastsrError:
                token = store.new_token()
            models = gradio.update(choices=choices.model_choices())  # some may have been imported since the start
            return [token, live.element(str(token)), models, models, *photos.restore(str(token))]

        def left(request: gradio.Request) -> None:
            for what in (photos_tab.JOBS, photos_tab.PREVIEWS, video_tab.STILLS, models_tab.JOBS):
                context.jobs.stop(f"{request.session_hash} {what}")

        filled = [session, camera, photos.model, video.model, *photos.restored]
        known = blocks.load(opened, [session], filled, show_progress="hidden", **HIDDEN)
        known.success(video.follow, [session], video.restored, show_progress="hidden", concurrency_limit=None, **HIDDEN)
        blocks.unload(left)
        api.add(context)
    return blocks
