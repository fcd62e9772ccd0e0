"""The discriminator of a run with its optimizer: what it says to the generator, and how it learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor

from training.learning import checkpoint, loss_functions
from training.learning.recipe import Discriminator
from training.networks import discriminators

Terms = dict[str, Tensor]  # name of a curve -> value
Views = Sequence[
    Tensor
]  # what is judged of the same images: the images themselves, or features of them, layer by layer


class Adversary:
    """Judges images, or what a frozen classifier sees of them, by one of the adversarial losses."""

    def __init__(self, settings: Discriminator, loss: str, fabric: Fabric, widths: Sequence[int]) -> None:
        """`widths`: channels of the layers that it judges, for a discriminator of features."""
        self.loss, self.fabric = loss, fabric
        self.weights = list(settings.layers.values()) or [1.0]
        self.network = discriminators.build(settings.kind, settings.channels, widths).to(fabric.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.rate, betas=(0.9, 0.99))
        self._judge, self._stepper = fabric.setup(self.network, self.optimizer)

    def generator_loss(self, real: Views, fake: Views) -> Tensor:
        """What the generator minimises; the gradient reaches the views, not the discriminator."""
        # Past the wrapper for several processes: the discriminator's own gradients are not wanted here.
        self.network.requires_grad_(False)
        with self.fabric.autocast():
            logits = _logits(self.network, real, fake)
        self.network.requires_grad_(True)
        return self._mean(loss_functions.generator_loss, logits)

    def update(self, real: Views, fake: Views) -> Terms:
        """One step of the discriminator; its loss, and the shares it judged right."""
        if isinstance(self.network, discriminators.FeatureDiscriminator):
            self.network.observe(real)
        loss, terms = self._learn(real, fake)
        self._stepper.zero_grad()
        self.fabric.backward(loss)
        self._stepper.step()
        return terms

    def rehearse(self, real: Views, fake: Views) -> None:
        """The work of `update`; in evaluation mode nothing has changed after it."""
        self.fabric.backward(self._learn(real, fake)[0])
        self._stepper.zero_grad()

    def _learn(self, real: Views, fake: Views) -> tuple[Tensor, Terms]:
        logits = _logits(self._judge, [x.detach() for x in real], [x.detach() for x in fake])
        loss = self._mean(loss_functions.discriminator_loss, logits)
        right = [loss_functions.accuracy(self.loss, a.detach(), b.detach()) for a, b in logits]
        shares = (sum(values) / len(right) for values in zip(*right, strict=True))
        names = ("accuracy/real", "accuracy/generated")
        return loss, {"loss/discriminator": loss.detach(), **dict(zip(names, shares, strict=True))}

    def _mean(
        self, function: Callable[[str, Tensor, Tensor], Tensor], logits: Sequence[tuple[Tensor, Tensor]]
    ) -> Tensor:
        """A loss, as the weighted mean over the views."""
        parts = [w * function(self.loss, real, fake) for w, (real, fake) in zip(self.weights, logits, strict=True)]
        return torch.stack(parts).sum() / sum(self.weights)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Tensors to save, by group."""
        return {
            "discriminator": self.network.state_dict(),
            "discriminator_optimizer": checkpoint.flatten_optimizer(self.optimizer),
        }

    def load(self, groups: dict[str, dict[str, Tensor]]) -> None:
        """Put back what `state` gave."""
        self.network.load_state_dict(groups["discriminator"])
        checkpoint.restore_optimizer(self.optimizer, groups["discriminator_optimizer"])


def _logits(network: Callable[..., Tensor | list[Tensor]], real: Views, fake: Views) -> list[tuple[Tensor, Tensor]]:
    """(real, fake) logits in float32 of each view."""
    # Both in one batch, in the generator's step too: batch norm then sees the same statistics in both.
    made = network(*(torch.cat([a, b]) for a, b in zip(real, fake, strict=True)))
    pairs = (logits.float().chunk(2) for logits in ([made] if isinstance(made, Tensor) else made))
    return [(a, b) for a, b in pairs]
