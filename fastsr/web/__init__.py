"""`fastsr serve`: a page in the browser for photos and videos, and the same as an API, on Gradio (extra `web`).

It calls what `fastsr` offers in Python and keeps uploads and results in a folder of its own. Nothing imports this
package but the command `serve`. Gradio is imported by `server`, once its environment is set, and by the page's modules.
"""
