"""What a precision loses against fp32: on photographs, on text and line art, on ramps, and in flat colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fastsr.network.graph import Graph
from training.data import synthetic_images
from training.measure import metrics
from training.measure.evaluate import as_tensor, low_resolution

Pixels = npt.NDArray[Any]
Run = Callable[[Pixels], Pixels]
Pair = tuple[Pixels, Pixels]  # low-resolution pixels, and what they were made from

FLAT_SIDE = 32  # of a flat image, input pixels
EDGE = 8  # input pixels along the borders of ramps and flat colours, where the network sees an edge: not measured


class PrecisionCost:
    """What a network in a lower precision loses against `exact`, itself in fp32.

    Text, ramps and flat colours are those that `synthetic_images` makes of `seed`. Photographs are handed in, each as
    low-resolution pixels and the original. With `side`, which is for networks that take minutes, one page of each
    colouring is measured, of which so many input pixels along each side, and every fourth flat colour.
    """

    def __init__(
        self, network: Graph, exact: Run, seed: int, photographs: Sequence[Pair] = (), side: int | None = None
    ) -> None:
        self._scale, self._channels = network.scale, network.channels
        text = {
            name: [self._pair(page, side) for page in pages[: None if side is None else 1]]
            for name, pages in synthetic_images.pages(seed).items()
        }
        ramps = [(self._planes(low), self._planes(high)) for low, high in synthetic_images.ramps(self._scale)]
        self._sets = {"text": text, "ramps": {"": ramps}}
        if photographs:
            self._sets["photographs"] = {"": list(photographs)}
        sides = (FLAT_SIDE, FLAT_SIDE, 1)
        colors = synthetic_images.flats(seed)[:: 1 if side is None else 4]
        self._flats = [self._planes(np.tile(np.array(color, np.uint8), sides)) for color in colors]
        self._exact = self._scores(exact, list(self._sets))
        self._made_exactly = self._all(exact)

    def costs(self, run: Run, kinds: Sequence[str] = ("text", "ramps")) -> dict[str, float]:
        """PSNR lost, dB, by kind of image: "photographs" (where there are any), "text", "ramps".

        Photographs: of the luma. Text: over all channels, in the colours in which most is lost. Ramps: over all
        channels, in 16 bits.
        """
        made = self._scores(run, [kind for kind in kinds if kind in self._sets])
        return {kind: max(self._exact[kind][name] - sets[name] for name in sets) for kind, sets in made.items()}

    def flat_error(self, run: Run) -> int:
        """8-bit steps that a flat colour is off at most from what `exact` makes of it, away from the border."""
        pairs = zip(self._flats, self._made_exactly["flats"], strict=True)
        return max(int(np.abs(self._cut(run(flat)).astype(int) - self._cut(exact)).max()) for flat, exact in pairs)

    def errors(self, run: Run) -> list[float]:
        """Mean squared distance from what `exact` makes, in 8-bit steps, by kind: photographs, text, flat colours."""
        made = self._all(run)
        return [
            float(np.mean([np.square(a.astype(float) - b).mean() for a, b in zip(images, exact, strict=True)]))
            for images, exact in zip(made.values(), self._made_exactly.values(), strict=True)
        ]

    def _all(self, run: Run) -> dict[str, list[Pixels]]:
        kinds = [kind for kind in self._sets if kind != "ramps"]
        made = {kind: [run(low) for pairs in self._sets[kind].values() for low, _ in pairs] for kind in kinds}
        return made | {"flats": [run(flat) for flat in self._flats]}

    def _scores(self, run: Run, kinds: Sequence[str]) -> dict[str, dict[str, float]]:
        measures = {"photographs": self._luma, "text": _psnr, "ramps": self._inner}
        return {
            kind: {
                name: sum(measures[kind](run(low), high) for low, high in pairs) / len(pairs)
                for name, pairs in self._sets[kind].items()
            }
            for kind in kinds
        }

    def _luma(self, made: Pixels, high: Pixels) -> float:
        a, b = (as_tensor(np.repeat(pixels, 3 // pixels.shape[2], axis=2)) for pixels in (made, high))
        return metrics.psnr_y(a, b, self._scale)

    def _inner(self, made: Pixels, high: Pixels) -> float:
        return _psnr(self._cut(made), self._cut(high))

    def _cut(self, pixels: Pixels) -> Pixels:
        inside = slice(EDGE * self._scale, -EDGE * self._scale)
        return pixels[inside, inside]

    def _pair(self, page: Image.Image, most: int | None) -> Pair:
        width, height = (min(side // self._scale, most or side) * self._scale for side in page.size)
        high = page.crop((0, 0, width, height))
        return self._planes(np.asarray(low_resolution(high, self._scale))), self._planes(np.asarray(high))

    def _planes(self, pixels: Pixels) -> Pixels:
        """RGB as the network takes it; one of a single channel gets green."""
        return np.ascontiguousarray(pixels if self._channels == 3 else pixels[..., 1:2])


def _psnr(made: Pixels, high: Pixels) -> float:
    error = np.square((made.astype(np.float64) - high) / np.iinfo(made.dtype).max).mean()
    return float(-10 * np.log10(max(error, 1e-12)))
