"""A program while a graph is lowered to it: its tensors by their names in the graph, and the steps so far."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsr.engines.native.program import Remap, Size, Step, Tensor
from fastsr.network.graph import Node

MAX_CHANNELS = 2048


class Unsupported(Exception):
    """What keeps a graph from running on the native engine, as a clause that names the operator."""


class Draft:
    """Tensors and steps; a tensor's number is its place among the tensors."""

    def __init__(self, name: str, channels: int, factor: int) -> None:
        """Tensor 0, `name`, is what the load makes of the image."""
        self.tensors = [Tensor(name, channels, factor)]
        self.steps: list[Step] = []
        self.numbers = {name: 0}

    def tensor(self, name: str, channels: int, size: Size) -> int:
        """The number of a new tensor."""
        self.numbers[name] = len(self.tensors)
        self.tensors.append(Tensor(name, channels, size.factor, growth=size.growth))
        return self.numbers[name]

    def number(self, node: Node, name: str) -> int:
        """The number of a tensor that `node` reads."""
        if name not in self.numbers:
            raise Unsupported(f"{node.outputs[0]}: {node.op} of a constant")
        return self.numbers[name]

    def add(self, step: Step) -> None:
        """Add a step that reads floats and makes floats."""
        self.tensors[step.source].floats = self.tensors[step.target].floats = True
        self.steps.append(step)

    def copied(self, source: int) -> int:
        """The number of a copy, made now."""
        copied = self.tensors[source]
        made = self.tensor(f"{copied.name}/copy{len(self.tensors)}", copied.channels, copied.size)
        self.add(Remap(source, made, straight(copied.channels)))
        return made

    def apart(self, number: int) -> int:
        """A tensor that is neither a view nor the input, whose pixels lie closer together than others': or a copy."""
        return self.copied(number) if number == 0 or self.tensors[number].is_view else number

    def operand(self, node: Node, name: str, channels: int, size: Size) -> int:
        """The number of a tensor that is added to one of so many channels and such a size, or multiplied by it.

        One channel is taken for as many as are wanted.
        """
        number = self.number(node, name)
        read = self.tensors[number]
        if read.size != size or read.channels not in (1, channels):
            raise Unsupported(f"{node.outputs[0]}: {node.op} of different shapes")
        if read.channels == channels:
            number = self.apart(number)
        else:
            made = self.tensor(f"{read.name}/copy{len(self.tensors)}", channels, size)
            self.add(Remap(number, made, np.zeros((1, 1, channels), np.int32)))
            number = made
        self.tensors[number].floats = True
        return number


def straight(channels: int) -> npt.NDArray[np.int32]:
    """The table of samples that stay where they are."""
    return np.arange(channels, dtype=np.int32).reshape(1, 1, -1)
