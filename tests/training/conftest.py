"""Training's tests need its extra; without torch they are skipped, and said so."""

import pytest

torch = pytest.importorskip("torch", reason='training needs: pip install -e ".[train]"')

from PIL import Image  # noqa: E402
from support.small_models import SAMPLE  # noqa: E402

from training.data.packed_images import pack  # noqa: E402
from training.learning.recipe import Data, Optimizer, Recipe  # noqa: E402
from training.learning.trainer import Run  # noqa: E402
from training.networks.generators import GeneratorShape  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in an order that does not depend on the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny():
    """A recipe that runs in a second."""
    return Recipe(
        name="tiny",
        summary="for tests",
        generator=GeneratorShape(scale=2, channels=8, depth=2, expansion=16),
        steps=24,
        data=Data(batch=4, crop=32, holdout=1),
        optimizer=Optimizer(kind="muon", warmup=2, decay=0.5, ema=0.8),
    )


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of four small photographs."""
    folder = tmp_path_factory.mktemp("photos")
    with Image.open(SAMPLE) as image:
        for i in range(4):
            image.crop((128 * i, 200, 128 * i + 128, 328)).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def packed(photos, tmp_path_factory):
    """The same, packed."""
    target = tmp_path_factory.mktemp("pack") / "pack.safetensors"
    pack([photos], target, min_side=64)
    return target


@pytest.fixture(scope="session")
def run_of():
    """A run on the CPU that looks at itself often."""

    def make(packed, folder, **options):
        return Run(packed, folder, "cpu", **{"save_every": 5, "validate_every": 12, "log_every": 4, **options})

    return make
