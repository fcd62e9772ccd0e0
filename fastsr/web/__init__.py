"""`fastsr serve`: a page in the browser for photos and videos, and the same as an API, on Gradio (extra `web`).

It calls what `fastsr` offers in Python and keeps uploads and results in a folder of its own. Nothing imports this package
but the command `serve`, and only `server` and the modules of the page import Gradio.
"""
