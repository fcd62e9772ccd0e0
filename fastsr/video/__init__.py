"""Videos, image sequences and raw frames, upscaled frame by frame; see docs/video.md.

Here live the calls and what they share: `upscale_video`, its checked arguments, `Frame`. The work itself is in the
groups, which import from left to right only: pipeline, outputs, sources, codecs. Pixels are enlarged elsewhere.

Importing this package needs PyAV and raises VideoError, saying how to install it, where it is missing.
"""

from fastsr.errors import VideoError

try:
    import av  # noqa: F401
except ImportError as error:
    if "cannot allocate memory" in str(error).lower() or "failed to map segment" in str(error):
        raise VideoError(f"not enough memory to load PyAV ({error}); free some, or raise its limit") from None
    raise VideoError(f"video needs PyAV ({error}); run: pip install 'fastsr[video]'") from None
