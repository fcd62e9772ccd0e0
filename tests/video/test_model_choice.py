"""Which model a video gets, and that what is asked of it reaches it."""

import numpy as np
import pytest
from support.small_models import compact
from support.video_samples import HEIGHT, WIDTH, decoded, planes

pytest.importorskip("av")

import fastsr
from fastsr.errors import FastsrError


def test_the_default_is_the_shipped_model(tmp_path, clip):
    result = fastsr.upscale_video(clip, tmp_path / "out.mp4", end=0.1)
    assert result.frames == 3
    expected = fastsr.load("fast-x4")
    first = decoded(tmp_path / "out.mp4")[0]
    assert (first.width, first.height) == (WIDTH * expected.scale, HEIGHT * expected.scale)


def test_choices_reach_the_model(tmp_path, clip, monkeypatch):
    from fastsr.video import upscale_video as module

    asked = []
    monkeypatch.setattr(
        module, "load", lambda *given, **options: asked.append((given, options)) or fastsr.load("nearest")
    )
    choices = {"device": "cpu", "precision": "bf16", "engine": "cpu", "tile": 64, "realism": 0.5}
    choices |= {"overlap": None, "memory": None, "blend": 0.5}
    fastsr.upscale_video(clip, tmp_path / "out.mp4", model="srgan-x4", end=0.1, **choices)
    assert asked == [(("srgan-x4",), {**choices, "video": True})]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"realism": 2}, "realism 2 must be a number from 0"),
        ({"engine": "ncnn"}, "unknown engine 'ncnn'"),
        ({"tile": "128"}, "tile '128' is not a number of pixels"),
    ],
)
def test_choices_that_cannot_be_are_named(tmp_path, clip, options, says):
    with pytest.raises(FastsrError, match=says):
        fastsr.upscale_video(clip, tmp_path / "out.mp4", model="srgan-x4", **options)


def test_realism_makes_other_frames(tmp_path, clip):
    for realism in (0, 1):
        options = {"model": "srgan-x4", "realism": realism, "scale": 2, "end": 0.05, "tile": 200}
        fastsr.upscale_video(clip, tmp_path / f"{realism}.mp4", lossless=True, **options)
    faithful, rich = (planes(decoded(tmp_path / f"{realism}.mp4")[0])[0] for realism in (0, 1))
    assert (faithful != rich).any()


def test_a_model_of_one_channel_keeps_the_colours(tmp_path, clip):
    model = compact(2, inputs=1).save(tmp_path / "gray.onnx")
    fastsr.upscale_video(clip, tmp_path / "out.mp4", model=model, end=0.1, lossless=True)
    before, after = (planes(decoded(path)[0]) for path in (clip, tmp_path / "out.mp4"))
    for small, large in zip(before[1:], after[1:], strict=True):
        assert np.abs(small - large[::2, ::2]).mean() < 8
