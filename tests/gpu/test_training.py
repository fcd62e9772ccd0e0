"""Training on an NVIDIA GPU: crops and degradations made there, mixed precision, compilation, going on after a stop."""

import dataclasses

import pytest

torch = pytest.importorskip("torch", reason='training needs: pip install -e ".[train]"')

from PIL import Image  # noqa: E402
from support.small_models import SAMPLE  # noqa: E402

from training.data import degradation  # noqa: E402
from training.data.packed_images import PackedImages, pack  # noqa: E402
from training.learning import checkpoint  # noqa: E402
from training.learning.recipe import Data, Discriminator, Loss, Optimizer, Recipe  # noqa: E402
from training.learning.trainer import Run, Trainer  # noqa: E402
from training.networks.generators import GeneratorShape  # noqa: E402

pytestmark = pytest.mark.gpu

TINY = Recipe(
    name="tiny",
    summary="for tests",
    generator=GeneratorShape(scale=4, kind="srresnet", channels=16, depth=2, expansion=0),
    steps=60,
    precision="bf16-mixed",
    compile=True,
    data=Data(batch=8, crop=64, holdout=1),
    optimizer=Optimizer(kind="muon", warmup=2, ema=0.9),
)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    with Image.open(SAMPLE) as image:
        for i in range(4):
            image.crop((128 * i, 200, 128 * i + 128, 328)).save(folder / f"{i}.png")
    pack([folder], folder / "pack.safetensors", min_side=64)
    return folder / "pack.safetensors"


def run(packed, folder, **options):
    return Run(packed, folder, "cuda", save_every=20, validate_every=30, log_every=20, **options)


def test_crops_are_the_cpus(packed):
    """Two ways to cut the same windows: one gather on the GPU, slices on the CPU."""
    from training.data import packed_images

    images = PackedImages(packed, "cuda")
    start, width = torch.tensor([5, 128 * 128 + 700]), torch.tensor([128, 128])
    for symmetry in range(8):
        bits = torch.tensor([symmetry, 7 - symmetry])
        made = packed_images._gather(images.pixels, start.cuda(), width.cuda(), 40, bits.cuda())
        assert torch.equal(made.cpu(), packed_images._slices(images.pixels.cpu(), start, width, 40, bits))


def test_bicubic_is_the_cpus(packed):
    high = PackedImages(packed).crops(4, 64, torch.Generator().manual_seed(0)).float() / 255
    difference = (degradation.bicubic(high.cuda(), 4).cpu() - degradation.bicubic(high, 4)).abs()
    assert difference.max() <= 1.01 / 255
    assert (difference > 0).float().mean() < 0.01


def test_it_learns_compiled_in_mixed_precision(packed, tmp_path):
    made = Trainer(TINY, run(packed, tmp_path))
    losses = []
    for made.step in range(TINY.steps):
        losses.append(made.one_step()["loss/generator"])
    values = torch.stack(losses).tolist()
    assert sum(values[-10:]) < 0.7 * sum(values[:10])


def test_the_adversarial_stage_goes_on_where_it_stopped(packed, tmp_path):
    chosen = dataclasses.replace(
        TINY,
        loss=Loss(adversarial_weight=0.05),
        discriminator=Discriminator("unet", channels=8),
        degradation=degradation.Degradation(kind="realistic"),
    )
    Trainer(chosen, run(packed, tmp_path, stop_after=40)).train()
    Trainer(chosen, run(packed, tmp_path)).train()
    groups, about = checkpoint.load(tmp_path / "tiny" / checkpoint.FILE)
    assert about["step"] == TINY.steps
    assert about["device"] == torch.cuda.get_device_name()
    assert all(torch.isfinite(t).all() for t in groups["average"].values())
