"""What a step minimises: pixel, content and adversarial losses in the recipe's weights, and the discriminator's own."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from training.learning import checkpoint, loss_functions
from training.learning.recipe import Recipe
from training.networks import discriminators, feature_networks

Terms = dict[str, Tensor]  # name of a curve -> value
Clock = Callable[[str], AbstractContextManager[None]]  # times the part of a step that it is put around


class Target(NamedTuple):
    """What generated images are compared with, NCHW float in 0..1."""

    wanted: Tensor  # the teacher's, where there is one
    original: Tensor


def window(images: tuple[Tensor, ...], side: int, draws: random.Random) -> tuple[Tensor, ...]:
    """The same square part of each batch of images, NCHW of one size, at a random place; all of them for side 0.

    A strided network that always began at an upsampler's first sub-pixel would learn its checkerboard.
    """
    if side == 0:
        return images
    top, left = (draws.randint(0, length - side) for length in images[0].shape[-2:])
    return tuple(image[..., top : top + side, left : left + side] for image in images)


class TotalLoss:
    """The losses of one recipe on one device; holds the feature network and the discriminator where they are used."""

    def __init__(self, recipe: Recipe, fabric: Fabric, weights: Path | None) -> None:
        """`weights`: folder of VGG19 / AlexNet files, needed where the content loss has a weight."""
        self.loss, self.fabric = recipe.loss, fabric
        self.block = recipe.generator.scale * recipe.generator.fold  # of sub-pixels that one shuffle makes
        self.judging = recipe.discriminator
        self.content: nn.Module | None = None
        if self.loss.content_weight:
            make = {"vgg19": feature_networks.vgg19, "alexnet": feature_networks.alexnet}[self.loss.content]
            network = loss_functions.Content(make(weights), self.loss.content_layers, self.loss.content_distance)
            self.content = network.to(fabric.device)
        self.discriminator: nn.Module | None = None
        if self.loss.adversarial_weight:
            settings = recipe.discriminator
            self.discriminator = discriminators.build(settings.kind, settings.channels).to(fabric.device)
            adam = torch.optim.Adam(self.discriminator.parameters(), lr=settings.rate, betas=(0.9, 0.99))
            self.optimizer = adam
            self._judge, self._stepper = fabric.setup(self.discriminator, adam)

    def generator(self, made: Tensor, target: Target, clock: Clock, draws: random.Random) -> tuple[Tensor, Terms]:
        """The gradient of the generator's loss by `made` (NCHW float in 0..1), and the loss and its parts.

        `draws` chooses windows. Each part goes back to `made` by itself, so that its time can be told and its memory is
        free for the next one.
        """
        leaf = made.detach().requires_grad_()
        terms: Terms = {}
        total = torch.zeros((), device=made.device)
        for name, weight, part in self._parts(draws):
            if not weight:
                continue
            with clock(name):
                value = part(leaf, target)
                (weight * value).backward()  # type: ignore[no-untyped-call]
            terms[f"loss/{name}"] = value.detach()
            total = total + weight * terms[f"loss/{name}"]
        terms["loss/generator"] = total
        assert leaf.grad is not None
        return leaf.grad, terms

    def _parts(self, draws: random.Random) -> list[tuple[str, float, Callable[[Tensor, Target], Tensor]]]:
        """Name, weight and function of each part of the generator's loss."""
        loss = self.loss
        pixel = loss_functions.PIXEL_LOSSES[loss.pixel]
        shift = [draws.randrange(loss_functions.AMPLITUDE_WINDOW) for _ in range(2)]
        return [
            ("pixel", loss.weight, lambda made, target: pixel(made, target.wanted)),
            ("original", loss.original_weight, lambda made, target: pixel(made, target.original)),
            (
                "amplitude",
                loss.amplitude_weight,
                lambda made, target: loss_functions.amplitude(made, target.wanted, *shift),
            ),
            ("phases", loss.phase_weight, lambda made, target: loss_functions.phases(made, target.wanted, self.block)),
            ("artefacts", loss.artefact_weight, lambda made, target: loss_functions.artefacts(made, target.wanted)),
            ("content", loss.content_weight, lambda made, target: self._content(made, target, draws)),
            ("adversarial", loss.adversarial_weight, lambda made, target: self._adversarial(made, target, draws)),
        ]

    def _content(self, made: Tensor, target: Target, draws: random.Random) -> Tensor:
        assert self.content is not None
        made, wanted = window((made, target.wanted), self.loss.content_window, draws)
        with self.fabric.autocast():
            distance: Tensor = self.content(made, wanted)
        return distance

    def _real(self, target: Target) -> Tensor:
        """What the discriminator takes for real: the teacher's images and originals, by their shares."""
        count = round(self.judging.taught * len(target.wanted))
        return torch.cat([target.wanted[:count], target.original[count:]])

    def _adversarial(self, made: Tensor, target: Target, draws: random.Random) -> Tensor:
        assert self.discriminator is not None
        made, original = window((made, self._real(target)), self.judging.window, draws)
        # Past the wrapper for several processes: the discriminator's own gradients are not wanted here.
        self.discriminator.requires_grad_(False)
        with self.fabric.autocast():
            real, fake = self.discriminator(torch.cat([original, made])).float().chunk(2)
        self.discriminator.requires_grad_(True)
        return loss_functions.generator_loss(self.loss.adversarial, real, fake)

    def update_discriminator(self, made: Tensor, target: Target, draws: random.Random) -> Terms:
        """One step of the discriminator, where there is one; its loss, and the shares it judged right."""
        if self.discriminator is None:
            return {}
        loss, terms = self._judged(made, target, draws)
        self._stepper.zero_grad()
        self.fabric.backward(loss)
        self._stepper.step()
        return terms

    def rehearse(self, made: Tensor, target: Target, clock: Clock) -> None:
        """Do the work of a step that changes nothing, for who counts it."""
        draws = random.Random(0)
        if self.discriminator is not None:
            self.discriminator.eval()  # or statistics and norms would go on
        self.generator(made, target, clock, draws)
        if self.discriminator is not None:
            self.fabric.backward(self._judged(made, target, draws)[0])
            self._stepper.zero_grad()
            self.discriminator.train()

    def _judged(self, made: Tensor, target: Target, draws: random.Random) -> tuple[Tensor, Terms]:
        made, original = window((made.detach(), self._real(target)), self.judging.window, draws)
        # Both in one batch, as in the generator's loss: batch norm then sees the same statistics in both steps.
        real, fake = self._judge(torch.cat([original, made])).float().chunk(2)
        loss = loss_functions.discriminator_loss(self.loss.adversarial, real, fake)
        right = loss_functions.accuracy(self.loss.adversarial, real.detach(), fake.detach())
        terms = {"loss/discriminator": loss.detach()}
        return loss, terms | {"accuracy/real": right[0], "accuracy/generated": right[1]}

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
