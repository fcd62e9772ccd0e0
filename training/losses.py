"""What the generator is asked to minimise; each takes (made, target) as NCHW float in 0..1 and returns a scalar."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

CHARBONNIER_EPSILON = 1e-3


def charbonnier(made: Tensor, target: Tensor) -> Tensor:
    """sqrt(difference^2 + epsilon^2): L1 with a smooth bottom (Lai et al. 2017, LapSRN)."""
    return torch.sqrt((made - target) ** 2 + CHARBONNIER_EPSILON**2).mean()


PIXEL_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "mse": F.mse_loss,
    "charbonnier": charbonnier,
}
