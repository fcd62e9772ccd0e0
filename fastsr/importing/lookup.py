"""The ONNX file that a model's name or path stands for: shipped, imported, in a package, or to be converted first."""

from __future__ import annotations

import os
from pathlib import Path

from fastsr.importing import packages, source, store
from fastsr.network import catalog


def find(model: str | os.PathLike[str]) -> Path:
    """Path of a model's ONNX file, or of the user's own file that runs as it is.

    A model of an installed package (`packages`) and a file of another project's format are imported on first use.
    Raises ModelError, with near names, when unknown, and as `conversion.import_file`.
    """
    text = os.fspath(model)
    if text in catalog.models():
        return catalog.models()[text].path
    imported = store.card(text)
    if imported is not None:
        return imported.path
    if text in packages.models():
        from fastsr.importing import conversion  # onnx takes a while to import

        return conversion.import_packaged(packages.models()[text]).path
    if source.is_importable(text):
        from fastsr.importing import conversion

        return conversion.kept(text).path
    return catalog.find(model, (*store.cards(), *packages.models()))
