"""What a step minimises: pixel, content and adversarial losses in the recipe's weights, and the discriminator's own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor

from training.learning import loss_functions
from training.learning.adversary import Adversary, Terms, Views
from training.learning.recipe import Recipe
from training.networks import discriminators, feature_networks

Clock = Callable[[str], AbstractContextManager[None]]  # times the part of a step that it is put around
Weighted = dict[str, tuple[float, Tensor]]  # name of a term -> its weight and value


class Target(NamedTuple):
    """What generated images are compared with, NCHW float in 0..1."""

    wanted: Tensor  # the teacher's, where there is one
    original: Tensor


class Seen(NamedTuple):
    """What a feature network sees of one window, by the names of its layers."""

    wanted: dict[str, Tensor]
    made: dict[str, Tensor]

    def views(self, layers: Iterable[str]) -> tuple[Views, Views]:
        """Some layers of what was wanted and of what was made."""
        names = list(layers)
        return [self.wanted[name] for name in names], [self.made[name] for name in names]

    def detached(self) -> Seen:
        return Seen(self.wanted, {name: features.detach() for name, features in self.made.items()})


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
        self.content: loss_functions.Content | None = None
        widths: list[int] = []
        if self.loss.content_weight:
            make = {"vgg19": feature_networks.vgg19, "alexnet": feature_networks.alexnet}[self.loss.content]
            network = loss_functions.Content(make(weights), self.loss.content_layers, self.loss.content_distance)
            self.content = network.to(fabric.device)
            widths = network.features.widths(list(self.judging.layers))
        self.adversary: Adversary | None = None
        if self.loss.adversarial_weight:
            self.adversary = Adversary(self.judging, self.loss.adversarial, fabric, widths)
        self._seen: tuple[Tensor, Seen] | None = None  # of these images, for the discriminator's step behind it

    def generator(self, made: Tensor, target: Target, clock: Clock, draws: random.Random) -> tuple[Tensor, Terms]:
        """The gradient of the generator's loss by `made` (NCHW float in 0..1), and the loss and its parts.

        `draws` chooses windows. Each part goes back to `made` by itself, so that its time can be told and its memory is
        free for the next one.
        """
        leaf = made.detach().requires_grad_()
        terms: Terms = {}
        total = torch.zeros((), device=made.device)
        for part, function in self._parts(draws).items():
            with clock(part):
                values = function(leaf, target)
                weighted = torch.stack([weight * value for weight, value in values.values()]).sum()
                weighted.backward()  # type: ignore[no-untyped-call]
            terms |= {f"loss/{name}": value.detach() for name, (_, value) in values.items()}
            total = total + weighted.detach()
        if self._seen is not None:
            self._seen = (made, self._seen[1].detached())
        terms["loss/generator"] = total
        assert leaf.grad is not None
        return leaf.grad, terms

    def _parts(self, draws: random.Random) -> dict[str, Callable[[Tensor, Target], Weighted]]:
        """The parts of the generator's loss that have a weight."""
        loss = self.loss
        pixel = loss_functions.PIXEL_LOSSES[loss.pixel]
        shift = [draws.randrange(loss_functions.AMPLITUDE_WINDOW) for _ in range(2)]
        single: dict[str, tuple[float, Callable[[Tensor, Target], Tensor]]] = {
            "pixel": (loss.weight, lambda made, target: pixel(made, target.wanted)),
            "original": (loss.original_weight, lambda made, target: pixel(made, target.original)),
            "amplitude": (
                loss.amplitude_weight,
                lambda made, target: loss_functions.amplitude(made, target.wanted, *shift),
            ),
            "phases": (
                loss.phase_weight,
                # Local means are what a pixel loss sees most of: both must ask for the same ones.
                lambda made, target: loss_functions.phases(
                    made, target.original if loss.original_weight > loss.weight else target.wanted, self.block
                ),
            ),
            "grid": (
                loss.grid_weight,
                lambda made, target: loss_functions.grid(made, target.wanted, self.block),
            ),
            "artefacts": (loss.artefact_weight, lambda made, target: loss_functions.artefacts(made, target.wanted)),
            "adversarial": (
                0.0 if self.judging.kind == discriminators.FEATURES else loss.adversarial_weight,
                lambda made, target: self._adversarial(made, target, draws),
            ),
        }
        parts = {name: _single(name, weight, function) for name, (weight, function) in single.items() if weight}
        if self.content is not None:
            parts["content"] = lambda made, target: self._content(made, target, draws)
        return parts

    def _content(self, made: Tensor, target: Target, draws: random.Random) -> Weighted:
        """The content loss; with it that of a discriminator which judges the same features."""
        assert self.content is not None
        seen = self._look(made, target, draws)
        values = {"content": (self.loss.content_weight, self.content.compare(seen.made, seen.wanted))}
        if self.adversary is not None and self.judging.kind == discriminators.FEATURES:
            value = self.adversary.generator_loss(*seen.views(self.judging.layers))
            values["adversarial"] = (self.loss.adversarial_weight, value)
            self._seen = (made, seen)
        return values

    def _look(self, made: Tensor, target: Target, draws: random.Random) -> Seen:
        """Features of the same window of what was wanted and of what was made; the gradient reaches the latter only."""
        assert self.content is not None
        made, wanted = window((made, target.wanted), self.loss.content_window, draws)
        with self.fabric.autocast():
            with torch.no_grad():
                looked_for = self.content.look(wanted, self.judging.layers)
            return Seen(looked_for, self.content.look(made, self.judging.layers))

    def _adversarial(self, made: Tensor, target: Target, draws: random.Random) -> Tensor:
        assert self.adversary is not None
        made, real = window((made, self._real(target)), self.judging.window, draws)
        return self.adversary.generator_loss([real], [made])

    def _real(self, target: Target) -> Tensor:
        """What the discriminator takes for real: the teacher's images and originals, by their shares."""
        count = round(self.judging.taught * len(target.wanted))
        return torch.cat([target.wanted[:count], target.original[count:]])

    def update_discriminator(self, made: Tensor, target: Target, draws: random.Random) -> Terms:
        """One step of the discriminator, where there is one; its loss, and the shares it judged right."""
        if self.adversary is None:
            return {}
        terms = self.adversary.update(*self._views(made, target, draws))
        self._seen = None
        return terms

    def rehearse(self, made: Tensor, target: Target, clock: Clock) -> None:
        """Do the work of a step that changes nothing, for who counts it."""
        draws = random.Random(0)
        if self.adversary is not None:
            self.adversary.network.eval()  # or statistics and norms would go on
        self.generator(made, target, clock, draws)
        if self.adversary is not None:
            self.adversary.rehearse(*self._views(made, target, draws))
            self.adversary.network.train()
        self._seen = None

    def _views(self, made: Tensor, target: Target, draws: random.Random) -> tuple[Views, Views]:
        """What the discriminator judges, real and generated."""
        if self.judging.kind != discriminators.FEATURES:
            made, real = window((made.detach(), self._real(target)), self.judging.window, draws)
            return [real], [made]
        if self._seen is None or self._seen[0] is not made:
            self._seen = (made, self._look(made.detach(), target, draws))
        return self._seen[1].views(self.judging.layers)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Tensors to save, by group."""
        return {} if self.adversary is None else self.adversary.state()

    def load(self, groups: dict[str, dict[str, Tensor]]) -> None:
        """Put back what `state` gave."""
        if self.adversary is not None:
            self.adversary.load(groups)


def _single(
    name: str, weight: float, function: Callable[[Tensor, Target], Tensor]
) -> Callable[[Tensor, Target], Weighted]:
    return lambda made, target: {name: (weight, function(made, target))}
