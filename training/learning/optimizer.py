"""Muon for the convolution kernels, Adam for everything else, and the rate schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from training.learning import recipe

# Quintic Newton-Schulz coefficients that carry singular values in 0..1 to about 1 (Jordan et al. 2024, Muon).
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """The nearest (semi-)orthogonal matrix of each m x n matrix of a batch, approximately; float32 throughout."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    x: Tensor = matrices.mT if tall else matrices
    x = x / (x.flatten(-2).norm(dim=-1)[..., None, None] + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised (Jordan et al. 2024).

    Weight decay is decoupled. Unlike `torch.optim.Muon` it stays in float32 (bfloat16 products are emulated on most
    CPUs) and runs all matrices of one shape as a batch.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, decay: float = 0.0) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None if closure is None else closure()
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault(p.shape, []).append(p)
            for shape, parameters in shapes.items():
                gradients = [p.grad for p in parameters if p.grad is not None]
                momenta = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in parameters]
                torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
                nesterov = torch._foreach_lerp(gradients, momenta, group["momentum"])
                updates = orthogonalize(torch.stack(list(nesterov))) * max(1.0, shape[0] / shape[1]) ** 0.5
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["decay"])
                torch._foreach_add_(parameters, list(updates), alpha=-group["lr"])
        return loss


def build(network: nn.Module, settings: recipe.Optimizer) -> list[torch.optim.Optimizer]:
    """The recipe's optimizers over all parameters of `network`."""
    matrices = [p for p in network.parameters() if p.ndim == 2]
    others = [p for p in network.parameters() if p.ndim != 2]
    betas = (0.9, 0.99)
    if settings.kind == "adam":
        return [torch.optim.Adam(matrices + others, lr=settings.rate, betas=betas)]
    muon = Muon(matrices, settings.matrix_rate, decay=settings.weight_decay)
    return [muon, torch.optim.Adam(others, lr=settings.rate, betas=betas)]


def factor(step: int, steps: int, settings: recipe.Optimizer) -> float:
    """Share of the full rate at `step`: linear warm-up, constant, linear fall over the last `decay` of `steps`."""
    rise = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    fall = min(1.0, (steps - step) / (settings.decay * steps)) if settings.decay else 1.0
    return rise * fall


def set_rates(optimizers: list[torch.optim.Optimizer], share: float) -> None:
    """Set every group's rate to `share` of what it was built with."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("full_rate", group["lr"]) * share
