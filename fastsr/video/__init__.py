"""Videos, image sequences and raw frames, enlarged frame by frame; see docs/video.md.

Importing this package needs PyAV and raises VideoError, saying how to install it, where it is missing.
"""

from fastsr.errors import VideoError

try:
    import av  # noqa: F401
except ImportError as error:
    raise VideoError(f"video needs PyAV ({error}); run: pip install 'fastsr[video]'") from None
