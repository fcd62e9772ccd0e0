"""Videos, image sequences and raw frames, enlarged frame by frame; see docs/video.md.

Importing this package needs PyAV and raises VideoError, saying how to install it, where it is missing.
"""

from fastsr.errors import VideoError

try:
    import av  # noqa: F401
except ImportError as error:
    if "cannot allocate memory" in str(error).lower() or "failed to map segment" in str(error):
        raise VideoError(f"not enough memory to load PyAV ({error}); free some, or raise its limit") from None
    raise VideoError(f"video needs PyAV ({error}); run: pip install 'fastsr[video]'") from None
