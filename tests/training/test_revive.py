"""Dead channels get new kernels; what the network does stays."""

import pytest
import torch

from training import generators
from training.revive import revive, set_kernel


@pytest.fixture
def dying():
    """A network whose first two layers have dead channels 2, 3, 4, 5: far below zero, slope 0.01."""
    torch.manual_seed(0)
    network = generators.Compact(2, channels=8, depth=3, expansion=16).eval()
    dead = slice(2, 6)
    with torch.no_grad():
        for i in (0, 1):
            kernel = network.body[i].kernel() * 0.1
            set_kernel(network.body[i], kernel, torch.Generator())
            network.body[i].bias[:] = 0
            network.body[i].bias[dead] = -20 * 0.01**i
            network.activations[i].weight[dead] = 0.01
        kernel = network.body[2].kernel()
        kernel[:, dead] *= 1e-4
        set_kernel(network.body[2], kernel, torch.Generator())
    return network


def test_dead_channels_live_and_the_output_stays(dying):
    low = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = dying(low)
        counts = revive(dying, low, torch.Generator().manual_seed(2))
        after = dying(low)
        assert counts[0] >= 4
        assert counts[1] >= 1
        assert counts[3] == 0
        assert (after - before).abs().max() < 0.05 * before.std()
        negative = (dying.body[0](low) < 0).float().mean(dim=(0, 2, 3))[2:6]
    assert (negative > 0.1).all()
    assert (negative < 0.9).all()


def test_revived_channels_learn(dying):
    low = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    revive(dying, low, torch.Generator().manual_seed(2))
    dying(low).square().mean().backward()
    assert dying.body[2].project.grad.abs().max() > 0


def test_a_living_network_is_left_alone():
    torch.manual_seed(3)
    network = generators.Compact(2, channels=8, depth=2, expansion=0).eval()
    low = torch.rand(4, 3, 16, 16)
    with torch.no_grad():
        network.body[0].project -= network.body[0].project.mean(dim=1, keepdim=True)  # answers to structure alone
        before = network(low)
        assert revive(network, low, torch.Generator()) == [0, 0, 0]
        assert torch.equal(network(low), before)


@pytest.mark.parametrize("expansion", [0, 16])
def test_set_kernel_folds_to_it(expansion):
    conv = generators.CollapsibleConv3x3(8, 8, expansion)
    kernel = torch.randn(8, 8, 3, 3)
    with torch.no_grad():
        set_kernel(conv, kernel, torch.Generator())
        assert (conv.kernel() - kernel).abs().max() < 1e-5


def test_set_kernel_needs_room():
    with pytest.raises(ValueError, match="expansion of 4 cannot hold"):
        set_kernel(generators.CollapsibleConv3x3(8, 8, 4), torch.randn(8, 8, 3, 3), torch.Generator())
