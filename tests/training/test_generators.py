"""The networks: trained and plain form are one function, weights go over, new ones start from something sensible."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from training.networks import generators
from training.networks.generators import GeneratorShape

SHAPES = [
    GeneratorShape(scale, "compact", 8, 2, expansion) for scale, expansion in itertools.product((2, 3, 4), (0, 16))
]
SHAPES += [
    GeneratorShape(scale, "srresnet", 8, 2, expansion, upsampler)
    for scale, upsampler, expansion in itertools.product((2, 3, 4), generators.UPSAMPLERS, (0, 72))
]
SHAPES += [
    GeneratorShape(scale, "compact", 8, 2, 0, fold=fold, base="bicubic")
    for scale, fold in itertools.product((2, 4), (1, 2, 4))
]


def named(shape):
    return f"{shape.kind}-x{shape.scale}-{shape.upsampler}-{shape.expansion}-{shape.base}-{shape.fold}"


def shaken(shape, seed=0):
    """A network of this shape in which nothing is left at its initial value."""
    torch.manual_seed(seed)
    network = generators.build(shape)
    with torch.no_grad():
        for p in network.parameters():
            p += 0.05 * torch.randn_like(p)
    return network.eval()


@pytest.mark.parametrize("shape", SHAPES, ids=named)
def test_plain_form_is_the_same_function(shape):
    network = shaken(shape)
    plain = generators.plain(network)
    x = torch.rand(1, 3, 8, 12) if shape.fold > 1 else torch.rand(1, 3, 9, 13)
    with torch.no_grad():
        assert network(x).shape == (1, 3, *(side * shape.scale for side in x.shape[2:]))
        assert (plain(x) - network(x)).abs().max() < 2e-5
    assert not any(isinstance(m, generators.CollapsibleConv) for m in plain.modules())


@pytest.mark.parametrize("shape", [s for s in SHAPES if s.scale == 2], ids=named)
def test_plain_weights_load_back(shape):
    source, target = shaken(shape, 0), shaken(shape, 1)
    assert generators.load_plain(target, generators.plain(source).state_dict()) == []
    x = torch.rand(1, 3, 8, 12) if shape.fold > 1 else torch.rand(1, 3, 7, 8)
    with torch.no_grad():
        assert (target(x) - source(x)).abs().max() < 1e-4


def test_weights_of_another_scale_load_but_for_the_tail():
    source, target = shaken(GeneratorShape(2, "compact", 8, 2, 16)), shaken(GeneratorShape(4, "compact", 8, 2, 16))
    left = generators.load_plain(target, generators.plain(source).state_dict())
    assert left == ["tail.weight", "tail.bias"]
    with torch.no_grad():
        assert (target.body[1].kernel() - source.body[1].kernel()).abs().max() < 1e-5


def test_untrained_compact_is_near_nearest_neighbour():
    torch.manual_seed(0)
    x = torch.rand(1, 3, 8, 8)
    difference = generators.Compact(2, 16, 4)(x) - F.interpolate(x, scale_factor=2)
    assert difference.abs().mean() < 0.5


def test_untrained_subpixels_are_equal():
    torch.manual_seed(0)
    made = generators.SubPixel(8, 2, 16)(torch.rand(1, 8, 5, 6))[:, generators.CARRIED :]
    assert torch.allclose(made, F.interpolate(made[..., ::2, ::2], scale_factor=2), atol=1e-6)


@pytest.mark.parametrize("factor", [2, 3])
def test_a_deconvolution_covers_every_pixel_evenly(factor):
    torch.manual_seed(0)
    layer = generators.Deconvolution(1, factor, 0)
    with torch.no_grad():
        layer.conv.weight.fill_(1)
        inner = layer(torch.ones(1, 1, 8, 8))[..., 6:-6, 6:-6]
    assert torch.allclose(inner, inner.flatten()[0].expand_as(inner))


def test_centre_is_subtracted_from_the_input():
    torch.manual_seed(0)
    conv = generators.CollapsibleConv(3, 4, 8, centre=0.5)
    x = torch.rand(1, 3, 6, 6)
    with torch.no_grad():
        expected = F.conv2d(x - 0.5, conv.kernel(), conv.bias)
        assert torch.allclose(conv(x)[..., 1:-1, 1:-1], expected, atol=1e-5)


@pytest.mark.parametrize("expansion", [0, 80])
def test_set_kernel_folds_to_it(expansion):
    conv = generators.CollapsibleConv(8, 8, expansion)
    kernel = torch.randn(8, 8, 3, 3)
    conv.set_kernel(kernel)
    assert (conv.kernel() - kernel).abs().max() < 1e-5


def test_set_kernel_needs_room():
    with pytest.raises(ValueError, match="expansion of 4 cannot hold"):
        generators.CollapsibleConv(8, 8, 4).set_kernel(torch.randn(8, 8, 3, 3))


@pytest.mark.parametrize("upsampler", generators.UPSAMPLERS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_new_srresnet_is_nearly_bilinear(scale, upsampler):
    torch.manual_seed(0)
    network = generators.build(GeneratorShape(scale, "srresnet", 64, 4, 0, upsampler))
    x = F.interpolate(torch.rand(1, 3, 6, 6), size=(24, 24), mode="bicubic").clamp(0, 1)
    expected = x
    for factor in [2, 2] if scale == 4 else [scale]:
        expected = F.interpolate(expected, scale_factor=float(factor), mode="bilinear")
    inside = slice(8 * scale, -8 * scale)  # the padding of the tail and of the upsamplers darkens the rim
    with torch.no_grad():
        error = (network(x) - expected)[..., inside, inside].abs().mean()
    assert error < 0.03
    for p in (network.tail.project, network.after.project):
        p.data.zero_()
    with torch.no_grad():
        assert (network(x) - expected)[..., inside, inside].abs().max() < 1e-4


def test_a_folded_generator_begins_as_its_base_without_a_grid():
    torch.manual_seed(0)
    network = generators.build(GeneratorShape(4, "compact", 32, 8, 0, fold=2, base="bicubic"))
    x = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        added = network(x) - F.interpolate(x, scale_factor=4.0, mode="bicubic")
        assert 0 < added.abs().max() < 0.2
        blocks = F.pixel_unshuffle(added, 8).view(1, 3, 64, -1)
        assert (blocks - blocks[:, :, :1]).abs().max() < 1e-5  # ICNR: all sub-pixels of a block are equal
