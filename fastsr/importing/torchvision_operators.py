"""`import torchvision` where its compiled part was built for another PyTorch and does not load.

It then fails with "operator torchvision::nms does not exist", although nothing that is used here needs that operator.
Declaring the operators that it asks for lets the import pass. spandrel and torchmetrics import it.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[Any] = []  # kept, for what a library declares goes with it


def settle() -> None:
    """Import torchvision, if it is installed, so that later imports of it find it whole."""
    if "torchvision" in sys.modules:
        return
    try:
        importlib.import_module("torchvision")
    except ImportError:
        return  # not installed; who needs it says so
    except RuntimeError:
        _declare()
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        importlib.import_module("torchvision")


def _declare() -> None:
    import torch

    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + _SCHEMA)
    _declared.append(library)
