"""The before/after viewer: an original and its result side by side, down to single pixels of results of any size.

The browser never decodes a whole result: it asks for tiles. `pyramid` keeps the pixels of an image in a file that tiles
are cut from, `tiles` makes the tiles of both sides, `routes` answers for them, `markup` is what a page contains; in
`page` lie our script and style, in `openseadragon` the deep-zoom library they use. Nothing here knows Gradio, models or
engines.
"""

from fastsr.web.viewer.markup import head, html
from fastsr.web.viewer.pyramid import record_frame, recorded
from fastsr.web.viewer.routes import Store, routes

__all__ = ["Store", "head", "html", "record_frame", "recorded", "routes"]
