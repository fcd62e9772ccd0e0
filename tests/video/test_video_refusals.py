"""What cannot be made is refused with its reason, and leaves nothing behind."""

import numpy as np
import pytest
from support.video_runs import upscale

av = pytest.importorskip("av")

import fastsr  # noqa: E402
from fastsr.errors import FastsrError, VideoError  # noqa: E402


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"codec": "mpeg2"}, "unknown codec 'mpeg2'; use one of h264, hevc"),
        ({"crf": 60}, "crf 60 is not between 0 and 51"),
        ({"preset": "warp"}, "preset 'warp' is unknown to h264; use one of ultrafast"),
        ({"codec": "av1", "preset": "fast"}, "preset 'fast' is unknown to av1; use one of 0 1"),
        ({"codec": "prores", "crf": 3}, "prores takes no crf"),
        ({"lossless": True, "crf": 3}, "lossless and crf were both given"),
        ({"pix_fmt": "yuv411p"}, "h264 holds no yuv411p; choose"),
        ({"codec": "av1", "pix_fmt": "yuv444p"}, "av1 holds no yuv444p; choose another --codec or a --pix-fmt of"),
        ({"codec": "prores"}, "name the output .mkv"),
        ({"codec": "hevc", "scale": 1}, "hevc needs at least 64 pixels a side"),
        ({"start": -1}, "start -1 is not a number of seconds"),
        ({"start": 2, "end": 1}, "start 2 is not before end 1"),
        ({"start": 100}, "has no frame between start and end"),
        ({"fps_limit": 0}, "fps limit 0 is not"),
        ({"segment": 0}, "segment 0 is not"),
        ({"scale": 0}, "scale 0 must be a number above 0"),
        ({"model": "bicubik"}, "unknown model 'bicubik'"),
    ],
)
def test_refusals(tmp_path, clip, options, says):
    with pytest.raises(FastsrError, match=says.replace(".", r"\.")):
        upscale(clip, tmp_path / "out.mp4", **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4"]


@pytest.mark.parametrize("name", ["out.avi", "out", "out.txt"])
def test_unknown_containers(tmp_path, clip, name):
    with pytest.raises(VideoError, match=r"unknown suffix .* use one of \.mp4"):
        upscale(clip, tmp_path / name)


def test_bad_sources(tmp_path, clip):
    target = tmp_path / "out.mp4"
    (tmp_path / "text.mp4").write_text("no video at all " * 99)
    (tmp_path / "empty.mp4").touch()
    for source, says in (
        (tmp_path / "missing.mp4", "missing.mp4: cannot be read"),
        (tmp_path / "text.mp4", "text.mp4: cannot be opened as a video"),
        (tmp_path / "empty.mp4", "empty.mp4: is empty"),
        (target, "cannot be read"),
    ):
        with pytest.raises(VideoError, match=says):
            upscale(source, target)
    with pytest.raises(VideoError, match="the result would replace its source"):
        upscale(clip, clip)
    with av.open(str(tmp_path / "sound.m4a"), "w") as made:
        stream = made.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        made.mux(stream.encode(frame) + stream.encode(None))
    with pytest.raises(VideoError, match="has no video stream"):
        upscale(tmp_path / "sound.m4a", target)


def test_a_failure_keeps_what_the_user_had(tmp_path, clip):
    target = tmp_path / "out.mp4"
    target.write_bytes(b"precious")

    class Broken(fastsr.Upscaler):
        def __init__(self):
            self.name, self.scale = "broken", 2

        fingerprint = "broken"

        def stream(self, frames, scale=None, size=None, *, progress=None):
            for number, frame in enumerate(frames):
                if number == 3:
                    raise RuntimeError("out of magic")
                yield np.repeat(np.repeat(frame, 2, 0), 2, 1)

    with pytest.raises(VideoError, match=r"in\.mp4: upscale, frame 3: out of magic"):
        fastsr.upscale_video(clip, target, model=Broken())
    assert target.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_frames_that_an_encoder_loses_are_noticed(tmp_path, clip, monkeypatch):
    from fastsr.video.codecs.encoder import EncoderConfig

    class Forgetful:
        def __init__(self, encoder):
            self.encoder, self.seen = encoder, 0

        def encode(self, frame):
            self.seen += 1
            return [] if self.seen == 4 else self.encoder.encode(frame)

    real = EncoderConfig.open
    monkeypatch.setattr(EncoderConfig, "open", lambda self: Forgetful(real(self)))
    with pytest.raises(VideoError, match="11 frames came out of the encoder for 12"):
        upscale(clip, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
