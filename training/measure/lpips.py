"""LPIPS: the distance between two images as people judge it."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.feature_networks import ALEXNET, Features, FeaturesError, read

FILE = "lpips_alex.safetensors"
LAYERS = [layer.name for layer in ALEXNET]


class Lpips(nn.Module):
    """LPIPS v0.1 with AlexNet (Zhang et al. 2018, equation 1): 0 for the same image, larger is more different."""

    def __init__(self, folder: Path | None) -> None:
        """Read `lpips_alex.safetensors` in `folder`: AlexNet's features and the learned lin0 .. lin4."""
        super().__init__()
        if folder is None or not (folder / FILE).is_file():
            raise FeaturesError(
                f"{folder or 'no folder given'}: LPIPS needs a folder with {FILE}; "
                "torchvision's AlexNet alone is not enough, it lacks lin0 .. lin4"
            )
        weights = read(folder / FILE)
        self.features = Features(ALEXNET, weights)
        for i, layer in enumerate(ALEXNET):
            self.register_buffer(f"lin{i}", weights.take(f"lin{i}.weight", (1, layer.outputs, 1, 1)))

    def forward(self, made: Tensor, target: Tensor) -> Tensor:
        """N distances of two NCHW RGB float batches in 0..1, sides of at least 31 pixels."""
        total = made.new_zeros(len(made))
        pairs = zip(self.features(made, LAYERS), self.features(target, LAYERS), strict=True)
        for i, (a, b) in enumerate(pairs):
            difference = _unit(a) - _unit(b)
            total = total + F.conv2d(difference**2, self.get_buffer(f"lin{i}")).mean((1, 2, 3))
        return total


def _unit(features: Tensor) -> Tensor:
    """Activations scaled to length 1 across the channels of each pixel; the slope stays finite where all are 0."""
    return F.normalize(F.relu(features.float()), dim=1, eps=1e-10)
