"""The screen recording: what its page is served by, and that the shipped one is what upscalers get from a screen."""

import shutil
import urllib.request

import numpy as np
import pytest

pytest.importorskip("av", reason="PyAV is not installed")

from support import video_samples

from benchmarks import demo, screen_recording

BLOCK = 16


def test_the_page_tells_when_it_begins():
    with screen_recording.served() as server:
        address = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(f"{address}/") as answer:
            assert answer.read() == screen_recording.PAGE.read_bytes()
        with urllib.request.urlopen(f"{address}/photo.jpg") as answer:
            assert answer.headers["Content-Type"] == "image/jpeg"
            assert answer.read() == screen_recording.PHOTO.read_bytes()
        assert not server.begun.is_set()
        urllib.request.urlopen(f"{address}/begun").close()
        assert server.begun.is_set()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/favicon.ico")


def test_blocks_of_the_shipped_recording_repeat_exactly():
    frames = [frame.to_ndarray()[: frame.height] for frame in video_samples.decoded(demo.CLIP)]
    assert len(frames) == screen_recording.SECONDS * screen_recording.RATE
    assert frames[0].shape == (270, 480)
    luma = np.stack(frames)[:, : 270 // BLOCK * BLOCK]
    changed = (luma[1:] != luma[:-1]).reshape(len(luma) - 1, -1, BLOCK, 480 // BLOCK, BLOCK).any(axis=(2, 4))
    shares = changed.mean(axis=(1, 2))
    assert np.median(shares) < 0.03  # typing
    assert (shares > 0.3).mean() > 0.05  # scrolling


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("chromium")), reason="Xvfb and Chromium are missing")
def test_a_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(screen_recording, "LATE", 60)
    assert screen_recording.record(tmp_path / "clip.mp4", 320, 180, 1) == screen_recording.RATE
    frames = video_samples.decoded(tmp_path / "clip.mp4")
    assert (len(frames), frames[0].width, frames[0].height) == (screen_recording.RATE, 320, 180)
    assert frames[0].to_ndarray(format="gray").std() > 20
