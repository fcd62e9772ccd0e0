"""Super-resolution of photos and video: `import fastsr; fastsr.upscale("photo.jpg").save("large.png")`.

`upscale` enlarges an image, `upscale_many` many files and `upscale_video` a video; `load` gives an `Upscaler` for many
calls; `models` tells what ships. `fastsr.ops` holds the kernels alone. Every error that a user can cause is a
`FastsrError`.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from fastsr import ops
    from fastsr.cluster.upscale_many import ImageResult, upscale_many
    from fastsr.errors import ClusterError, EngineError, FastsrError, ImageError, ModelError, VideoError
    from fastsr.loading import load, upscale
    from fastsr.network.catalog import Model, models
    from fastsr.upscaler import Upscaler
    from fastsr.video.upscale_video import upscale_video

__version__ = "0.1.0"

__all__ = [
    "ClusterError",
    "EngineError",
    "FastsrError",
    "ImageError",
    "ImageResult",
    "Model",
    "ModelError",
    "Upscaler",
    "VideoError",
    "load",
    "models",
    "ops",
    "upscale",
    "upscale_many",
    "upscale_video",
]

# Where each public name stands; its module, and NumPy with it, is imported when the name is first used (PEP 562).
_MODULES = {
    **dict.fromkeys(("Model", "models"), "fastsr.network.catalog"),
    **dict.fromkeys(("ImageResult", "upscale_many"), "fastsr.cluster.upscale_many"),
    **dict.fromkeys(
        ("ClusterError", "EngineError", "FastsrError", "ImageError", "ModelError", "VideoError"), "fastsr.errors"
    ),
    **dict.fromkeys(("load", "upscale"), "fastsr.loading"),
    "Upscaler": "fastsr.upscaler",
    "upscale_video": "fastsr.video.upscale_video",
}


class _FormerModules:
    """Finds modules of earlier versions; last in `sys.meta_path`, it is asked only for what is not there."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> "ModuleSpec | None":
        if not name.startswith("fastsr."):
            return None
        from fastsr import former_names  # loaded only when it is needed

        return former_names.spec(name)


sys.meta_path.append(_FormerModules)


def __getattr__(name: str) -> Any:
    if name == "ops":
        return importlib.import_module("fastsr.ops")
    if name not in _MODULES:
        raise AttributeError(f"module 'fastsr' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
