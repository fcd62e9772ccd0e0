"""Super-resolution networks that spandrel lacks, as their papers describe them, in PyTorch.

Layers, kernels and connections are the papers'; widths and depths can be chosen, so that tests stay fast.
"""

import torch
from torch import nn
from torch.nn import functional


def conv(inputs, outputs, side=3, **rules):
    """A convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, side, padding=rules.get("dilation", 1) * (side - 1) // 2, **rules)


def shuffled(channels, scale, activation=None):
    """Sub-pixel layers up to a scale of 2, 3 or 4: convolution, shuffle, activation."""
    layers = []
    for factor in {2: [2], 3: [3], 4: [2, 2]}[scale]:
        layers += [conv(channels, channels * factor**2), nn.PixelShuffle(factor)]
        layers += [activation()] if activation else []
    return nn.Sequential(*layers)


class Residual(nn.Sequential):
    """Layers whose result, times `scale`, is added to what they read."""

    def __init__(self, *layers, scale=1.0):
        super().__init__(*layers)
        self.scale = scale

    def forward(self, x):
        made = super().forward(x)
        return x + (made if self.scale == 1.0 else made * self.scale)


class SRCNN(nn.Sequential):
    """Dong et al. 2014: 9-5-5 on an image that was enlarged before."""

    def __init__(self, channels=1, wide=64, narrow=32):
        first, second = conv(channels, wide, 9), conv(wide, narrow, 5)
        super().__init__(first, nn.ReLU(), second, nn.ReLU(), conv(narrow, channels, 5))


class ESPCN(nn.Sequential):
    """Shi et al. 2016: 5-3-3 with tanh, then the pixel shuffle."""

    def __init__(self, scale=3, channels=1, wide=64, narrow=32):
        first, second = conv(channels, wide, 5), conv(wide, narrow)
        last = conv(narrow, channels * scale**2)
        super().__init__(first, nn.Tanh(), second, nn.Tanh(), last, nn.PixelShuffle(scale))


class FSRCNN(nn.Sequential):
    """Dong et al. 2016: shrinks, maps, expands, and ends in a transposed convolution of 9x9."""

    def __init__(self, scale=3, channels=1, wide=56, narrow=12, depth=4):
        layers = [conv(channels, wide, 5), nn.PReLU(wide), conv(wide, narrow, 1), nn.PReLU(narrow)]
        for _ in range(depth):
            layers += [conv(narrow, narrow), nn.PReLU(narrow)]
        layers += [conv(narrow, wide, 1), nn.PReLU(wide)]
        last = nn.ConvTranspose2d(wide, channels, 9, stride=scale, padding=4, output_padding=scale - 1)
        super().__init__(*layers, last)


class SRResNet(nn.Module):
    """Ledig et al. 2017, with its batch normalisation."""

    def __init__(self, scale=4, wide=64, depth=16):
        super().__init__()
        self.head = nn.Sequential(conv(3, wide, 9), nn.PReLU())
        blocks = [
            Residual(conv(wide, wide), nn.BatchNorm2d(wide), nn.PReLU(), conv(wide, wide), nn.BatchNorm2d(wide))
            for _ in range(depth)
        ]
        self.body = Residual(*blocks, conv(wide, wide), nn.BatchNorm2d(wide))
        self.tail = nn.Sequential(shuffled(wide, scale, nn.PReLU), conv(wide, 3, 9))

    def forward(self, x):
        return self.tail(self.body(self.head(x)))


class MeanShift(nn.Conv2d):
    """Adds a colour, as a convolution of one pixel with the identity."""

    def __init__(self, sign, mean=(0.4488, 0.4371, 0.4040)):
        super().__init__(3, 3, 1)
        self.weight.data = torch.eye(3).reshape(3, 3, 1, 1)
        self.bias.data = sign * torch.tensor(mean)


class EDSR(nn.Module):
    """Lim et al. 2017: residual blocks without normalisation, residuals scaled."""

    def __init__(self, scale=4, wide=256, depth=32, residual=0.1):
        super().__init__()
        blocks = [Residual(conv(wide, wide), nn.ReLU(), conv(wide, wide), scale=residual) for _ in range(depth)]
        body = Residual(*blocks, conv(wide, wide))
        tail = [shuffled(wide, scale), conv(wide, 3)]
        self.layers = nn.Sequential(MeanShift(-1), conv(3, wide), body, *tail, MeanShift(1))

    def forward(self, x):
        return self.layers(x)


class Cascade(nn.Module):
    """Blocks of which each reads, through a 1x1 convolution, what all before it made."""

    def __init__(self, wide, make):
        super().__init__()
        self.blocks = nn.ModuleList(make() for _ in range(3))
        self.joints = nn.ModuleList(nn.Sequential(conv(wide * (i + 2), wide, 1), nn.ReLU()) for i in range(3))

    def forward(self, x):
        parts, made = [x], x
        for block, joint in zip(self.blocks, self.joints, strict=True):
            parts.append(block(made))
            made = joint(torch.cat(parts, 1))
        return made


class CARN(nn.Module):
    """Ahn et al. 2018: cascades of cascades of residual blocks; with groups it is CARN-M."""

    def __init__(self, scale=4, wide=64, groups=1):
        super().__init__()

        def block():
            layers = [conv(wide, wide, groups=groups), nn.ReLU(), conv(wide, wide, groups=groups)]
            return nn.Sequential(Residual(*layers, *([conv(wide, wide, 1)] if groups > 1 else [])), nn.ReLU())

        body = Cascade(wide, lambda: Cascade(wide, block))
        layers = [MeanShift(-1), conv(3, wide), body, shuffled(wide, scale, nn.ReLU), conv(wide, 3), MeanShift(1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


class ECBSR(nn.Module):
    """Zhang et al. 2021, its branches folded: plain convolutions, the input added to every sub-pixel."""

    def __init__(self, scale=4, channels=1, wide=16, depth=4):
        super().__init__()
        layers = [conv(channels, wide), nn.PReLU(wide)]
        for _ in range(depth):
            layers += [conv(wide, wide), nn.PReLU(wide)]
        self.layers = nn.Sequential(*layers, conv(wide, channels * scale**2))
        self.scale, self.channels = scale, channels

    def forward(self, x):
        many = x if self.channels > 1 else torch.cat([x] * self.scale**2, 1)
        many = many.repeat_interleave(self.scale**2, 1) if self.channels > 1 else many
        return functional.pixel_shuffle(self.layers(x) + many, self.scale)


class ArtCNN(nn.Module):
    """ArtCNN's doublers of the luma: C (a plain chain with one skip) and R (residual blocks)."""

    def __init__(self, wide=32, depth=4, residual=False):
        super().__init__()
        self.head = conv(1, wide)
        if residual:
            body = [Residual(conv(wide, wide), nn.ReLU(), conv(wide, wide), nn.ReLU(), conv(wide, wide))] * depth
        else:
            body = [layer for _ in range(depth) for layer in (conv(wide, wide), nn.ReLU())]
        self.body = Residual(*body, conv(wide, wide))
        self.tail = nn.Sequential(conv(wide, 4), nn.PixelShuffle(2))

    def forward(self, x):
        return self.tail(self.body(self.head(x))).clamp(0, 1)


class VGG7(nn.Sequential):
    """waifu2x's vgg_7: seven convolutions that do not pad; its result is 14 pixels smaller."""

    def __init__(self, channels=3, widths=(32, 32, 64, 64, 128, 128)):
        layers, deep = [], channels
        for wide in widths:
            layers += [nn.Conv2d(deep, wide, 3), nn.LeakyReLU(0.1)]
            deep = wide
        super().__init__(*layers, nn.Conv2d(deep, channels, 3))


class UpConv7(nn.Sequential):
    """waifu2x's upconv_7: six convolutions that do not pad and a transposed one, which cuts the border off."""

    def __init__(self, channels=3, widths=(16, 32, 64, 128, 128, 256)):
        layers, deep = [], channels
        for wide in widths:
            layers += [nn.Conv2d(deep, wide, 3), nn.LeakyReLU(0.1)]
            deep = wide
        super().__init__(*layers, nn.ConvTranspose2d(deep, channels, 4, stride=2, padding=3))


class ContrastAttention(nn.Module):
    """IMDN's: weighs channels by their mean and deviation over the whole image."""

    def __init__(self, wide, reduction=16):
        super().__init__()
        narrow = max(wide // reduction, 2)
        self.layers = nn.Sequential(conv(wide, narrow, 1), nn.ReLU(), conv(narrow, wide, 1), nn.Sigmoid())

    def forward(self, x):
        mean = x.mean((2, 3), keepdim=True)
        return x * self.layers((x - mean).square().mean((2, 3), keepdim=True).sqrt() + mean)


class Distillation(nn.Module):
    """IMDN's block: a quarter of the channels is kept after every convolution, the others go on."""

    def __init__(self, wide):
        super().__init__()
        self.kept, self.rest = wide // 4, wide - wide // 4
        self.steps = nn.ModuleList([conv(wide, wide), conv(self.rest, wide), conv(self.rest, wide)])
        self.last, self.joint = conv(self.rest, self.kept), conv(self.kept * 4, wide, 1)
        self.attention = ContrastAttention(self.kept * 4)

    def forward(self, x):
        parts, made = [], x
        for step in self.steps:
            part, made = functional.leaky_relu(step(made), 0.05).split((self.kept, self.rest), 1)
            parts.append(part)
        return self.joint(self.attention(torch.cat([*parts, self.last(made)], 1))) + x


class IMDN(nn.Module):
    """Hui et al. 2019."""

    def __init__(self, scale=4, wide=64, depth=6):
        super().__init__()
        self.head = conv(3, wide)
        self.blocks = nn.ModuleList(Distillation(wide) for _ in range(depth))
        self.joint = nn.Sequential(conv(wide * depth, wide, 1), nn.LeakyReLU(0.05), conv(wide, wide))
        self.tail = nn.Sequential(conv(wide, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x):
        made = head = self.head(x)
        parts = []
        for block in self.blocks:
            made = block(made)
            parts.append(made)
        return self.tail(self.joint(torch.cat(parts, 1)) + head)


class SpatialAttention(nn.Module):
    """RFDN's and RLFN's ESA: looks at the image in a seventh of its size, enlarged back by bilinear interpolation."""

    def __init__(self, wide, narrow, depth):
        super().__init__()
        self.head, self.skip, self.tail = conv(wide, narrow, 1), conv(narrow, narrow, 1), conv(narrow, wide, 1)
        self.shrink = nn.Conv2d(narrow, narrow, 3, stride=2)
        layers = [conv(narrow, narrow)]
        for _ in range(depth - 1):
            layers += [nn.ReLU(), conv(narrow, narrow)]
        self.small = nn.Sequential(*layers)

    def forward(self, x):
        head = self.head(x)
        small = self.small(functional.max_pool2d(self.shrink(head), 7, 3))
        large = functional.interpolate(small, x.shape[2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.tail(large + self.skip(head)))


class FeatureDistillation(nn.Module):
    """RFDN's block: 1x1 convolutions keep a half, shallow residual blocks go on."""

    def __init__(self, wide):
        super().__init__()
        half = wide // 2
        self.kept = nn.ModuleList(conv(wide, half, 1) for _ in range(3))
        self.rest = nn.ModuleList(Residual(conv(wide, wide)) for _ in range(3))
        self.last, self.joint = conv(wide, half), conv(half * 4, wide, 1)
        self.attention = SpatialAttention(wide, max(wide // 4, 4), 3)

    def forward(self, x):
        parts, made = [], x
        for kept, rest in zip(self.kept, self.rest, strict=True):
            parts.append(functional.leaky_relu(kept(made), 0.05))
            made = functional.leaky_relu(rest(made), 0.05)
        parts.append(functional.leaky_relu(self.last(made), 0.05))
        return self.attention(self.joint(torch.cat(parts, 1)))


class RFDN(nn.Module):
    """Liu et al. 2020."""

    def __init__(self, scale=4, wide=50, depth=4):
        super().__init__()
        self.head = conv(3, wide)
        self.blocks = nn.ModuleList(FeatureDistillation(wide) for _ in range(depth))
        self.joint = nn.Sequential(conv(wide * depth, wide, 1), nn.LeakyReLU(0.05), conv(wide, wide))
        self.tail = nn.Sequential(conv(wide, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x):
        made = head = self.head(x)
        parts = []
        for block in self.blocks:
            made = block(made)
            parts.append(made)
        return self.tail(self.joint(torch.cat(parts, 1)) + head)


class RLFN(nn.Module):
    """Kong et al. 2022: three convolutions and one addition a block, then ESA."""

    def __init__(self, scale=4, wide=52, depth=6, attention=16):
        super().__init__()

        def block():
            layers = [layer for _ in range(3) for layer in (conv(wide, wide), nn.LeakyReLU(0.05))]
            return nn.Sequential(Residual(*layers), conv(wide, wide, 1), SpatialAttention(wide, attention, 1))

        self.head = conv(3, wide)
        self.body = Residual(*(block() for _ in range(depth)), conv(wide, wide))
        self.tail = nn.Sequential(conv(wide, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x):
        return self.tail(self.body(self.head(x)))


class ChannelAttention(nn.Module):
    """Weighs channels by their mean over the whole image."""

    def __init__(self, wide):
        super().__init__()
        self.layers = nn.Sequential(conv(wide, wide // 8, 1), nn.ReLU(), conv(wide // 8, wide, 1), nn.Sigmoid())

    def forward(self, x):
        return x * self.layers(x.mean((2, 3), keepdim=True))


def unpadded(inputs, *widths, pooled=False):
    """Convolutions that do not pad, each with its LeakyReLU."""
    layers, deep = [], inputs
    for wide in widths:
        layers += [nn.Conv2d(deep, wide, 3), nn.LeakyReLU(0.1)]
        deep = wide
    return nn.Sequential(*layers, *([ChannelAttention(deep)] if pooled else []))


def cropped(x, border):
    return x[:, :, border:-border, border:-border]


class UNet(nn.Module):
    """A step down and up, around another one if `inner` makes it; `down` and `up` halve and double the image."""

    def __init__(self, head, wide, inner, tail, crop):
        super().__init__()
        self.head, self.inner, self.tail, self.crop = head, inner, tail, crop
        self.down = nn.Sequential(nn.Conv2d(wide, wide, 2, stride=2), nn.LeakyReLU(0.1))
        self.up = nn.Sequential(nn.ConvTranspose2d(wide, wide, 2, stride=2), nn.LeakyReLU(0.1))

    def forward(self, x):
        x = self.head(x)
        return self.tail(cropped(x, self.crop) + self.up(self.inner(self.down(x))))


class CUNet(nn.Module):
    """waifu2x's cunet and, without pooling, Real-CUGAN's nose: one U-Net enlarges, a deeper one corrects."""

    def __init__(self, scale=2, pooled=True, wide=64):
        super().__init__()
        half, double = wide // 2, wide * 2
        last = nn.ConvTranspose2d(wide, 3, 4, stride=2, padding=3) if scale == 2 else nn.Conv2d(wide, 3, 3)
        self.first = UNet(
            unpadded(3, half, wide),
            wide,
            unpadded(wide, double, wide, pooled=pooled),
            nn.Sequential(*unpadded(wide, wide), last),
            4,
        )
        deepest = UNet(
            unpadded(wide, wide, double, pooled=pooled),
            double,
            unpadded(double, double * 2, double, pooled=pooled),
            unpadded(double, wide, wide, pooled=pooled),
            4,
        )
        tail = nn.Sequential(*unpadded(wide, wide), nn.Conv2d(wide, 3, 3))
        self.second = UNet(unpadded(3, half, wide), wide, deepest, tail, 16)

    def forward(self, x):
        x = self.first(x)
        return (cropped(x, 20) + self.second(x)).clamp(0, 1)
