"""fastsr: super-resolution of photos and video. `import fastsr; fastsr.upscale("photo.jpg").save("large.png")`."""

from typing import TYPE_CHECKING, Any

from fastsr import ops
from fastsr.catalog import Model, models
from fastsr.errors import EngineError, FastsrError, ImageError, ModelError, VideoError
from fastsr.upscaler import Upscaler, load, upscale

if TYPE_CHECKING:
    from fastsr.video.upscale import upscale_video

__version__ = "0.1.0"

__all__ = [
    "EngineError",
    "FastsrError",
    "ImageError",
    "Model",
    "ModelError",
    "Upscaler",
    "VideoError",
    "load",
    "models",
    "ops",
    "upscale",
    "upscale_video",
]


def __getattr__(name: str) -> Any:
    """`upscale_video` on first use, since it needs PyAV."""
    if name == "upscale_video":
        from fastsr.video.upscale import upscale_video

        return upscale_video
    raise AttributeError(f"module 'fastsr' has no attribute {name!r}")
