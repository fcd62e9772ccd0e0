"""Training recipes."""

import random
from pathlib import Path

from fuzz import text_mutations
from fuzz.target import Target
from training.learning import recipe

SEEDS = [path.read_bytes() for path in sorted(recipe.RECIPES.glob("*.toml"))]


def make(draw: random.Random) -> bytes:
    """A recipe with a few changes."""
    return text_mutations.mutated(draw, draw.choice(SEEDS), SEEDS)


def run(content: bytes, folder: Path) -> None:
    """Read it."""
    path = folder / "recipe.toml"
    path.write_bytes(content)
    recipe.read(path)


TARGET = Target(make, run, refusals=(recipe.RecipeError,))
