"""The single losses of the generator and the discriminator, each a scalar; `total_loss` adds them up.

Pixel and content losses take (made, target) as NCHW float in 0..1. Adversarial ones take a discriminator's logits for
real and for generated images, in any shape: one an image, or one a pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.feature_networks import Features

CHARBONNIER_EPSILON = 1e-3
PHASE_WINDOW = 4  # blocks: a grid is the same over some, an edge is not
ARTEFACT_WINDOW = 7  # pixels
AMPLITUDE_WINDOW = 16  # pixels
GRID_FLOOR = 0.25  # amplitude, in a window of 64: a grid an eighth of a level strong, which nobody sees
AMPLITUDE_FLOOR = 0.02  # amplitudes below it, those of rounding to 8 bits, count as equal


class LossError(ValueError):
    """A loss that does not exist; the message lists those that do."""


def charbonnier(made: Tensor, target: Tensor) -> Tensor:
    """sqrt(difference^2 + epsilon^2): L1 with a smooth bottom (Lai et al. 2017, LapSRN)."""
    return torch.sqrt((made - target) ** 2 + CHARBONNIER_EPSILON**2).mean()


PIXEL_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "mse": F.mse_loss,
    "charbonnier": charbonnier,
}
DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": F.l1_loss, "mse": F.mse_loss}


def phases(made: Tensor, target: Tensor, scale: int) -> Tensor:
    """L1 between local means of the pixels that share a place in the `scale` x `scale` blocks of an upsampler.

    In a photograph these means are nearly equal for all places, so they show a grid (Odena et al. 2016), which is taken
    for detail easily, and little else. Windows of PHASE_WINDOW blocks a side; sides must be multiples of `scale`.
    """

    def means(x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pixel_unshuffle(x, scale), PHASE_WINDOW, ceil_mode=True)

    return F.l1_loss(means(made), means(target))


def grid(made: Tensor, target: Tensor, scale: int) -> Tensor:
    """How far an upsampler's grid stands out of the spectrum of `made`, more than in that of `target`, in logarithms.

    Blocks of `scale` x `scale` sub-pixels show at multiples of 1/`scale` cycle a pixel, across and down, even where
    their sign changes with the detail and `phases` sees nothing. Each such frequency, but 0, is compared with the eight
    half way to the next ones, in windows of 8 blocks a side (as many as fit). No gradient passes through those.
    """

    def peaks(x: Tensor) -> Tensor:
        side = 8 * scale
        windows = x.float().unfold(2, side, side).unfold(3, side, side)
        hann = torch.hann_window(side, device=x.device)
        flat = (windows - windows.mean((-2, -1), keepdim=True)) * hann.outer(hann)
        spectrum = (torch.fft.fft2(flat).abs()[..., ::4, ::4] + GRID_FLOOR).log()
        shifts = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1) if down or across]
        beside = torch.stack([spectrum.roll(shift, (-2, -1)) for shift in shifts]).mean(0)
        height: Tensor = spectrum - beside.detach()
        return height[..., ::2, ::2].flatten(-2)[..., 1:]  # all but frequency 0

    with torch.no_grad():
        natural = peaks(target)
    return F.relu(peaks(made) - natural.clamp(min=0)).mean()


def amplitude(made: Tensor, target: Tensor, top: int = 0, left: int = 0) -> Tensor:
    """L1 between the logarithms of the Fourier amplitudes of windows of AMPLITUDE_WINDOW pixels, side by side.

    Blind to phase: texture of the right strength costs nothing wherever its grains lie, blur and grids cost. Windows
    are weighted by Hann's function and have their mean taken off, or brightness would leak into all low frequencies.
    The first one begins at `top`, `left`: elsewhere in each step, or what lies between windows would never be judged.
    """

    def spectrum(x: Tensor) -> Tensor:
        side = AMPLITUDE_WINDOW
        windows = x[..., top:, left:].float().unfold(2, side, side).unfold(3, side, side)
        hann = torch.hann_window(side, device=x.device)
        flat = (windows - windows.mean((-2, -1), keepdim=True)) * hann.outer(hann)
        made: Tensor = (torch.fft.rfft2(flat).abs() + AMPLITUDE_FLOOR).log()
        return made

    return F.l1_loss(spectrum(made), spectrum(target))


def artefacts(made: Tensor, target: Tensor) -> Tensor:
    """L1 weighted by where its error looks like an artefact: local variance of the error, times the crop's share.

    Liang et al. 2022 (LDL), equations 2 to 4, without the comparison with an average of the weights. No gradient passes
    through the weights.
    """
    error = (target - made).abs()
    with torch.no_grad():
        gray = error.sum(1, keepdim=True)
        padded = F.pad(gray, [ARTEFACT_WINDOW // 2] * 4, mode="reflect")
        mean = F.avg_pool2d(padded, ARTEFACT_WINDOW, 1)
        local = F.avg_pool2d(padded**2, ARTEFACT_WINDOW, 1) - mean**2
        crop = gray.var((1, 2, 3), keepdim=True) ** 0.2
    return (local.clamp(min=0) * crop * error).mean()


class Content(nn.Module):
    """Weighted sum of the distances between a classifier's features, layer by layer (Johnson et al. 2016).

    SRGAN takes the mse of VGG19's last layer (Ledig et al. 2017), ESRGAN the l1 before ReLU (Wang et al. 2018).
    """

    def __init__(self, features: Features, layers: Mapping[str, float], distance: str) -> None:
        super().__init__()
        if distance not in DISTANCES:
            raise LossError(f"distance of features {distance!r} is not known; it must be {' or '.join(DISTANCES)}")
        features.check(list(layers))
        self.features, self.layers, self.distance = features, dict(layers), DISTANCES[distance]

    def forward(self, made: Tensor, target: Tensor) -> Tensor:
        """The scalar; its gradient reaches `made` only."""
        with torch.no_grad():
            wanted = self.look(target)
        return self.compare(self.look(made), wanted)

    def look(self, images: Tensor, more: Iterable[str] = ()) -> dict[str, Tensor]:
        """The features of its layers, and of `more`, by name."""
        names = list(dict.fromkeys([*self.layers, *more]))
        return dict(zip(names, self.features(images, names), strict=True))

    def compare(self, made: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Tensor:
        """The scalar, from what was seen of both."""
        terms = [
            weight * self.distance(made[name].float(), wanted[name].float()) for name, weight in self.layers.items()
        ]
        return torch.stack(terms).sum()


ADVERSARIAL_LOSSES = ("standard", "relativistic", "paired")


def discriminator_loss(kind: str, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Binary cross-entropy of taking real for real and fake for fake, added up.

    "standard" judges each image by itself (Goodfellow et al. 2014), "relativistic" by how much more real it is than
    the mean of the other kind, "paired" by how much more than the other kind at the same place (RaGAN and RpGAN,
    Jolicoeur-Martineau 2018). Where each generated image has a real counterpart, only how a place is drawn tells them
    apart then, not what it shows.
    """
    if kind == "paired":
        return _real_loss(real_logits.float() - fake_logits.float())
    real, fake = _judged(kind, real_logits, fake_logits)
    return _real_loss(real) + _fake_loss(fake)


def generator_loss(kind: str, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """What the generator minimises so that fake is taken for real; `real_logits` do not matter if "standard".

    "standard" is the non-saturating form; "relativistic" also asks that real be taken for fake.
    """
    if kind == "paired":
        return _real_loss(fake_logits.float() - real_logits.float())
    real, fake = _judged(kind, real_logits, fake_logits)
    if kind == "standard":
        return _real_loss(fake)
    return _real_loss(fake) + _fake_loss(real)


def accuracy(kind: str, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Shares of real judged real and of fake judged fake, 0-d in 0..1, as the loss of this kind judges; for curves."""
    real, fake = _judged(kind, real_logits, fake_logits)
    return (real > 0).float().mean(), (fake < 0).float().mean()


def _judged(kind: str, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The logits in float32 as this kind of loss reads them: above 0 is real."""
    real, fake = real.float(), fake.float()
    if kind == "standard":
        return real, fake
    if kind == "relativistic":
        return real - fake.mean(), fake - real.mean()
    if kind == "paired":
        return real - fake, fake - real
    *others, last = ADVERSARIAL_LOSSES
    raise LossError(f"adversarial loss {kind!r} is not known; it must be {', '.join(others)} or {last}")


def _real_loss(logits: Tensor) -> Tensor:
    """Mean of -log sigmoid(logits): cross-entropy where the answer should be real."""
    return F.softplus(-logits).mean()


def _fake_loss(logits: Tensor) -> Tensor:
    """Mean of -log(1 - sigmoid(logits)): cross-entropy where the answer should be fake."""
    return F.softplus(logits).mean()
