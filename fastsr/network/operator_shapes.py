"""What the shapes of an operator's weights and its attributes must be for the channels it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastsr.network.graph import Node

ELEMENTWISE = frozenset(("Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "PRelu"))  # what one lacks is repeated
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_POOLS = ("MaxPool", "AveragePool")

Shape = tuple[int, ...]


def fault(node: Node, channels: Mapping[str, int], shapes: Mapping[str, Shape]) -> str | None:
    """What makes an operator impossible, or None.

    Args:
        node: the operator.
        channels: of the images (N x C x H x W) by name, where known.
        shapes: of the stored tensors by name.

    """
    deep = channels.get(node.inputs[0]) if node.inputs else None
    stored = [shapes.get(name) if name and name not in channels else None for name in node.inputs]
    if node.op in _CONVOLUTIONS:
        return _steps(node.attributes) or _convolution(node, deep, stored)
    if node.op in _POOLS:
        return _steps(node.attributes)
    if deep is None:
        return None
    if node.op in ("DepthToSpace", "SpaceToDepth"):
        block = node.attributes["blocksize"]
        if block < 1 or (node.op == "DepthToSpace" and deep % block**2):
            return f"a blocksize of {block} for {deep} channels"
    if node.op == "BatchNormalization" and any(s is not None and s != (deep,) for s in stored[1:]):
        return f"weights that are not {deep} numbers for {deep} channels"
    if node.op in ELEMENTWISE:
        deeper = next((s for s in stored if s and len(s) > 4), None)
        if deeper is not None:  # five sides would come out, on which a Resize crashes ONNX Runtime
            return f"an operand of shape {list(deeper)}; images have four sides"
        wide = {channels[n] for n in node.inputs if n in channels} | {s[-3] for s in stored if s and len(s) >= 3}
        if len(wide - {1}) > 1:
            return f"operands of {' and '.join(map(str, sorted(wide)))} channels"
    return None


def _convolution(node: Node, deep: int | None, stored: list[Shape | None]) -> str | None:
    group, kernel = node.attributes.get("group", 1), stored[1]
    if kernel is None:
        return None
    if len(kernel) != 4 or 0 in kernel:
        return f"a kernel of shape {list(kernel)}; it has four sides"
    if tuple(node.attributes.get("kernel_shape", kernel[2:])) != kernel[2:]:
        return f"a kernel of {kernel[2]}x{kernel[3]} said to be {node.attributes['kernel_shape']}"
    read, out = (kernel[1] * group, kernel[0]) if node.op == "Conv" else (kernel[0], kernel[1] * group)
    if group < 1 or kernel[0] % group or (deep is not None and read != deep):
        return f"a kernel of shape {list(kernel)} in {group} groups for {'its' if deep is None else deep} channels"
    bias = stored[2] if len(stored) > 2 else None
    if bias is not None and bias != (out,):
        return f"a bias of shape {list(bias)} for {out} channels"
    return None


def _steps(attributes: Mapping[str, Any]) -> str | None:
    """What is wrong with how a window moves."""
    for name, length in (("strides", 2), ("dilations", 2), ("kernel_shape", 2), ("pads", 4)):
        values = attributes.get(name)
        if values is not None and (len(values) != length or (name != "pads" and min(values) < 1)):
            return f"{name} {list(values)}"
    return None


def repeated(node: Node, channels: int, shapes: Mapping[str, Shape]) -> int:
    """Channels that an element-wise operator makes of so many, its stored operands' included."""
    if node.op not in ELEMENTWISE:
        return channels
    wide = [shapes[name][-3] for name in node.inputs if len(shapes.get(name, ())) >= 3]
    return max([channels, *wide])
