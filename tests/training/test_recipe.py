"""Recipes: the shipped ones are valid, and whatever is wrong is named."""

import dataclasses
import json

import pytest

from training.learning import recipe
from training.learning.recipe import RECIPES, RecipeError, read

GOOD = 'name = "a"\nsummary = "b"\nsteps = 5\n[generator]\nscale = 2\n'
VIDEO = GOOD + '[data]\npairs = true\n[degradation]\nkind = "video"\n[degradation.compression]\n'


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
        (GOOD + 'kind = "gan"\n', "generator.kind = 'gan' is not accepted; it must be compact or srresnet"),
        (GOOD.replace("scale = 2", 'scale = "2"'), "generator.scale = '2' must be of type int"),
        (GOOD.replace("scale = 2", "scale = 7"), "generator.scale = 7"),
        (GOOD.replace("steps = 5\n", ""), r"steps / budget = \(0, 0\.0\) is not accepted"),
        (GOOD.replace("steps = 5", "steps = 0"), r"steps / budget = \(0, 0\.0\) is not accepted"),
        (GOOD + "[data]\ncrop = 33\n", "data.crop = 33 is not accepted; it must be a multiple of 2, the scale"),
        (GOOD + "[data]\nbatch = true\n", "data.batch = True must be of type int"),
        (GOOD + '[loss]\npixel = "l3"\n', "loss.pixel = 'l3' is not accepted; it must be l1, mse, charbonnier"),
        (GOOD + "[optimizer]\nema = 1.0\n", "optimizer.ema"),
        (GOOD + 'upsampler = "bicubic"\n', "generator.upsampler = 'bicubic' .* subpixel, deconv, resize"),
        (GOOD + '[discriminator]\nkind = "vgg"\n', "discriminator.kind = 'vgg' .* srgan, unet, features"),
        (GOOD + '[discriminator]\nkind = "features"\ntaught = 1\n', "discriminator.layers = {} .*names with weights"),
        (GOOD + "[discriminator]\nlayers = { conv1_2 = 1 }\n", "discriminator.layers = .*nothing for others"),
        (GOOD + '[discriminator]\nkind = "features"\nlayers = { a = 1 }\n', "discriminator.taught = 0.0 .*must be 1"),
        (
            GOOD + '[discriminator]\nkind = "features"\ntaught = 1\nlayers = { a = 1 }\n',
            "discriminator.window = 0 .*content loss",
        ),
        (GOOD + '[loss]\nadversarial = "hinge"\n', "loss.adversarial = 'hinge' .* standard, relativistic"),
        (
            GOOD + "[loss]\ncontent_layers = { conv1_1 = true }\n",
            "loss.content_layers.conv1_1 = True must be of type float",
        ),
        (GOOD + "[loss]\nweight = 0\n", "loss.weight = 0.0 is not accepted"),
        (GOOD + '[degradation]\nkind = "webcam"\n', r"r\.toml: degradation.kind = 'webcam'"),
        (GOOD + '[degradation]\nkind = "video"\n', 'data.pairs = False .* true for degradation.kind "video"'),
        (VIDEO + "frames = 1\n", r"degradation\.compression\.frames = 1 is not accepted; it must be 2 or more"),
        (VIDEO + "blurred = 2\n", r"degradation\.compression\.blurred = 2.0 is not accepted"),
        (VIDEO + "share = { h264 = 1 }\n", r"compression\.share / crf .* the same codecs in both"),
        (VIDEO + "share = { xvid = 1 }\ncrf = { xvid = [1, 2] }\n", r"compression\.share = 'xvid' .* h264, hevc"),
        (VIDEO + "share = { h264 = 1 }\ncrf = { h264 = [30, 60] }\n", r"crf\.h264 = \(30.0, 60.0\) .* 0 to 51"),
        (GOOD + "[degradation.second]\nblur = [2, 1]\n", r"degradation.second.blur = \(2.0, 1.0\) is not accepted"),
        (GOOD + "[degradation.first]\nblur = 2\n", "degradation.first.blur = 2 must be of type tuple"),
        (GOOD + "[degradation.first]\nblur = [1]\n", r"degradation.first.blur = \[1\] must be a list of 2"),
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


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda p: p.stem)
def test_recipes_survive_json(path):
    made = read(path)
    assert recipe.from_dict(json.loads(json.dumps(dataclasses.asdict(made)))) == made


def test_fine_tuning_keeps_all_but_the_pace():
    base = read("fast-x4")
    made = recipe.fine_tuned(base, "fast-x4", "faces-x4", 500, "faces")
    assert (made.name, made.start, made.steps) == ("faces-x4", "fast-x4", 500)
    assert made.optimizer.matrix_rate == pytest.approx(base.optimizer.matrix_rate / 3)
    assert made.generator == base.generator


def test_keys_are_set_one_by_one():
    base = read("srgan-x4")
    made = recipe.changed(base, ["data.batch=4", 'precision = "32-true"', "loss.content_layers.conv2_2=1"])
    assert (made.data.batch, made.data.crop, made.precision) == (4, base.data.crop, "32-true")
    assert made.loss.content_layers == base.loss.content_layers | {"conv2_2": 1.0}
    assert recipe.changed(base, []) == base


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.batch", "'data.batch' is not KEY=VALUE"),
        ("data.batch=four", "is not KEY=VALUE"),
        ("data.bath=4", "unknown key data.bath"),
        ("data=4", "data must be a table"),
        ("data.batch=0", "data.batch = 0"),
    ],
)
def test_odd_settings_are_named(setting, message):
    with pytest.raises(RecipeError, match=message):
        recipe.changed(read("fast-x4"), [setting])
