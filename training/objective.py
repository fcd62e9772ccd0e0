"""What a step minimises: pixel, content and adversarial losses in the recipe's weights, and the discriminator's own."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from training import checkpoint, discriminators, features, losses
from training.recipe import Recipe

Terms = dict[str, Tensor]  # name of a curve -> value


class Objective:
    """The losses of one recipe on one device; holds the feature network and the discriminator where they are used."""

    def __init__(self, recipe: Recipe, fabric: Fabric, weights: Path | None) -> None:
        """`weights`: folder of VGG19 / AlexNet files, needed where the content loss has a weight."""
        self.loss, self.fabric, self.scale = recipe.loss, fabric, recipe.generator.scale
        self.content: nn.Module | None = None
        if self.loss.content_weight:
            make = {"vgg19": features.vgg19, "alexnet": features.alexnet}[self.loss.content]
            network = losses.Content(make(weights), self.loss.content_layers, self.loss.content_distance)
            self.content = network.to(fabric.device)
        self.discriminator: nn.Module | None = None
        if self.loss.adversarial_weight:
            settings = recipe.discriminator
            self.discriminator = discriminators.build(settings.kind, settings.channels).to(fabric.device)
            adam = torch.optim.Adam(self.discriminator.parameters(), lr=settings.rate, betas=(0.9, 0.99))
            self.optimizer = adam
            self._judge, self._stepper = fabric.setup(self.discriminator, adam)

    def generator(self, made: Tensor, high: Tensor) -> tuple[Tensor, Terms]:
        """The loss to go down, and its parts, for generated and original pictures (NCHW float in 0..1)."""
        pixel = losses.PIXEL_LOSSES[self.loss.pixel](made, high)
        total, terms = self.loss.weight * pixel, {"loss/pixel": pixel}
        if self.loss.phase_weight:
            terms["loss/phases"] = losses.phases(made, high, self.scale)
            total = total + self.loss.phase_weight * terms["loss/phases"]
        with self.fabric.autocast():
            if self.content is not None:
                terms["loss/content"] = self.content(made, high)
                total = total + self.loss.content_weight * terms["loss/content"]
            if self.discriminator is not None:
                # Past the wrapper for several processes: the discriminator's own gradients are not wanted here.
                self.discriminator.requires_grad_(False)
                real, fake = self.discriminator(torch.cat([high, made])).float().chunk(2)
                self.discriminator.requires_grad_(True)
                terms["loss/adversarial"] = losses.generator_loss(self.loss.adversarial, real, fake)
                total = total + self.loss.adversarial_weight * terms["loss/adversarial"]
        terms["loss/generator"] = total
        return total, {name: value.detach() for name, value in terms.items()}

    def update_discriminator(self, made: Tensor, high: Tensor) -> Terms:
        """One step of the discriminator, where there is one; its loss, and the shares it judged right."""
        if self.discriminator is None:
            return {}
        # Both in one batch, as above: batch norm then sees the same statistics in both steps.
        real, fake = self._judge(torch.cat([high, made.detach()])).float().chunk(2)
        loss = losses.discriminator_loss(self.loss.adversarial, real, fake)
        self._stepper.zero_grad()
        self.fabric.backward(loss)
        self._stepper.step()
        right = losses.accuracy(self.loss.adversarial, real.detach(), fake.detach())
        terms = {"loss/discriminator": loss.detach()}
        return terms | {"accuracy/real": right[0], "accuracy/generated": right[1]}

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Tensors to save, by group."""
        if self.discriminator is None:
            return {}
        return {
            "discriminator": self.discriminator.state_dict(),
            "discriminator_optimizer": checkpoint.flatten_optimizer(self.optimizer),
        }

    def load(self, groups: dict[str, dict[str, Tensor]]) -> None:
        """Put back what `state` gave."""
        if self.discriminator is not None:
            self.discriminator.load_state_dict(groups["discriminator"])
            checkpoint.restore_optimizer(self.optimizer, groups["discriminator_optimizer"])
