"""How a Resize operator enlarges, in the terms of engines that do it themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.network.graph import Node

_EMPTY: npt.NDArray[Any] = np.empty(0)
_CHANGING = ("antialias", "axes", "exclude_outside")  # where they are not 0


def resize_kind(node: Node, weights: dict[str, npt.NDArray[Any]]) -> tuple[str, float]:
    """The kind of a Resize and its factor along both axes: "nearest" (pixels repeated), "bilinear" or "bicubic".

    The kind is empty for anything else, another operator included.
    """
    a = node.attributes
    if node.op != "Resize" or len(node.inputs) != 3 or any(a.get(name) for name in _CHANGING):
        return "", 0
    if node.inputs[1] and weights.get(node.inputs[1], _EMPTY).size:  # a region, which exporters leave empty
        return "", 0
    factors = weights.get(node.inputs[2])
    if factors is None or factors.shape != (4,) or factors[0] != 1 or factors[1] != 1 or factors[2] != factors[3]:
        return "", 0
    factor, mode, rounding = float(factors[2]), a.get("mode", "nearest"), a.get("nearest_mode", "round_prefer_floor")
    place = a.get("coordinate_transformation_mode", "half_pixel")
    whole = factor >= 1 and not factor % 1
    middle = place == "half_pixel" or (place == "pytorch_half_pixel" and whole)  # the same where no side shrinks to 1
    # The nearest of half pixels is never as far from two.
    repeats = (place, rounding) == ("asymmetric", "floor") or (middle and whole and rounding.startswith("round"))
    kinds = {
        "nearest": mode == "nearest" and repeats,
        "bilinear": mode == "linear" and middle,
        "bicubic": mode == "cubic" and middle and a.get("cubic_coeff_a", -0.75) == -0.75,
    }
    return next((kind for kind, it_is in kinds.items() if it_is), ""), factor
