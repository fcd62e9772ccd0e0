"""How a Resize operator enlarges, in the terms of engines that do it themselves."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from fastsr.network.graph import Node

_CHANGING = frozenset(("antialias", "axes", "exclude_outside", "keep_aspect_ratio_policy"))


def resize_kind(node: Node, weights: dict[str, npt.NDArray[Any]]) -> tuple[str, float]:
    """The kind of a Resize and its factor along both axes: "nearest" (pixels repeated), "bilinear" or "bicubic".

    The kind is empty for anything else, another operator included.
    """
    if node.op != "Resize" or len(node.inputs) != 3 or node.inputs[1] or node.attributes.keys() & _CHANGING:
        return "", 0
    factors = weights.get(node.inputs[2])
    if factors is None or factors.shape != (4,) or factors[0] != 1 or factors[1] != 1 or factors[2] != factors[3]:
        return "", 0
    a = node.attributes
    mode, place = a.get("mode", "nearest"), a.get("coordinate_transformation_mode", "half_pixel")
    kinds = {
        "nearest": mode == "nearest" and place == "asymmetric" and a.get("nearest_mode") == "floor",
        "bilinear": mode == "linear" and place == "half_pixel",
        "bicubic": mode == "cubic" and place == "half_pixel" and a.get("cubic_coeff_a", -0.75) == -0.75,
    }
    return next((kind for kind, it_is in kinds.items() if it_is), ""), float(factors[2])
