"""Models of other projects, imported by dropping their files: read and converted, never executed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastsr.errors import ModelError
from fastsr.web import choices
from fastsr.web.store import Store, safe_name

SUFFIXES = (".onnx", ".param", ".bin", ".zip", ".whl", ".pth", ".pt", ".ckpt", ".safetensors")
_SECOND = ".bin"  # of a pair, which is named by the other file


def import_models(uploads: Sequence[Path], folder: Path, store: Store) -> dict[str, str]:
    """Import the models of uploaded files; returns a line on each by its name. Raises ModelError.

    Args:
        uploads: the files, both of an ncnn model.
        folder: where they are put side by side, for a while.
        store: that they were uploaded to.

    """
    from fastsr.importing import conversion  # onnx takes a while to import

    placed = [store.link(upload, folder, safe_name(upload.name)) for upload in uploads]
    named = [path for path in placed if path.suffix.lower() != _SECOND or path.with_suffix(".param") not in placed]
    if not named:
        raise ModelError(f"there is no model's file yet; it ends in {' '.join(SUFFIXES)}")
    try:
        cards = [card for path in named for card in conversion.import_file(str(path))]
    finally:
        for path in placed:
            path.unlink(missing_ok=True)
    lines = choices.model_lines()
    return {card.name: lines[card.name] for card in cards}
