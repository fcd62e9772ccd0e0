"""fastsr: super-resolution of photos and video. `import fastsr; fastsr.upscale("photo.jpg").save("large.png")`."""

from fastsr import ops
from fastsr.catalog import Model, models
from fastsr.errors import EngineError, FastsrError, ImageError, ModelError
from fastsr.upscaler import Upscaler, load, upscale

__version__ = "0.1.0"

__all__ = [
    "EngineError",
    "FastsrError",
    "ImageError",
    "Model",
    "ModelError",
    "Upscaler",
    "load",
    "models",
    "ops",
    "upscale",
]
