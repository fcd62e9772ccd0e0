"""Recipes: the shipped ones are valid, and whatever is wrong is named."""

import pytest

from training import recipe
from training.recipe import RECIPES, RecipeError, read

GOOD = 'name = "a"\nsummary = "b"\nsteps = 5\n[generator]\nscale = 2\n'


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_recipes_are_valid(path):
    made = read(path.stem)
    assert made.name == path.stem
    assert made == read(path)


def test_defaults_fill_in(tmp_path):
    (tmp_path / "r.toml").write_text(GOOD + "[optimizer]\nrate = 1\n")
    made = read(tmp_path / "r.toml")
    assert made.optimizer.rate == 1.0
    assert made.data == recipe.Data()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "depth2 = 3\n", r"r\.toml: unknown key generator\.depth2; known: scale"),
        ("stepz = 3\n" + GOOD, "unknown key stepz"),
        (GOOD + 'kind = "gan"\n', "generator.kind = 'gan' is not accepted; it must be compact"),
        (GOOD.replace("scale = 2", 'scale = "2"'), "generator.scale = '2' must be of type int"),
        (GOOD.replace("scale = 2", "scale = 7"), "generator.scale = 7"),
        (GOOD.replace("steps = 5\n", ""), "steps is missing"),
        (GOOD.replace("steps = 5", "steps = 0"), "steps = 0 is not accepted"),
        (GOOD + "[data]\ncrop = 33\n", "data.crop = 33 is not accepted; it must be a multiple of the scale 2"),
        (GOOD + "[data]\nbatch = true\n", "data.batch = True must be of type int"),
        (GOOD + '[loss]\npixel = "l3"\n', "loss.pixel = 'l3' is not accepted; it must be l1, mse, charbonnier"),
        (GOOD + "[optimizer]\nema = 1.0\n", "optimizer.ema"),
        ("generator = 3\n" + GOOD.split("[")[0], "generator must be a table"),
        ("name = [", r"r\.toml: "),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(RecipeError, match=message):
        read(tmp_path / "r.toml")


def test_unknown_recipe_lists_the_shipped():
    with pytest.raises(RecipeError, match=r"fast-x9: no such recipe; shipped recipes: .*fast-x4"):
        read("fast-x9")
