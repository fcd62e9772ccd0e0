"""A video on the page, as a visitor uses it: a frame first, then all of it, stopped, played and downloaded."""

import filecmp

import pytest
from support.visitor import Tab

pytest.importorskip("av", reason="PyAV is not installed")
from support import video_samples

import fastsr
from fastsr.web import videos


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    video_samples.video(path, frames=3 * videos.SEGMENT, sound=True)
    return path


def made(clip, **options):
    """What the library makes of it."""
    target = clip.with_name("made.mp4")
    fastsr.upscale_video(clip, target, segment=videos.SEGMENT, **options)
    return target


def test_a_video_is_seen_enlarged_played_and_downloaded(visit, clip):
    tab = Tab(visit(), "video")
    tab.drop(clip)
    tab.preview()
    tab.choose("model", "bicubic")
    tab.page.locator('fastsr-viewer[after="bicubic"]').wait_for()
    tab.choose("size", "3x")
    result = tab.enlarge("clip-x3.mp4")
    assert filecmp.cmp(result, made(clip, model="bicubic", scale=3), shallow=False)
    player = tab.page.locator("#video-shown video")
    player.wait_for()
    tab.page.wait_for_function("() => document.querySelector('#video-shown video').videoWidth === 144")


def test_a_video_is_stopped_and_made_by_another_model(visit, clip):
    tab = Tab(visit(), "video")
    tab.drop(clip)
    tab.preview()
    tab.choose("model", "srgan-x4")
    tab.choose("size", "2x")
    tab.run.click()
    tab.progress.wait_for()
    tab.stop.click()
    tab.status.get_by_text("Stopped.").wait_for()
    assert tab.results.count() == 0
    tab.choose("model", "fast-x2")
    result = tab.enlarge("clip-x2.mp4")
    assert filecmp.cmp(result, made(clip, model="fast-x2", scale=2), shallow=False)


def test_what_is_no_video_is_told_on_the_page(visit, tmp_path):
    (tmp_path / "letter.mp4").write_bytes(b"This is a letter to my aunt, not a video.\n" * 99)
    tab = Tab(visit(), "video")
    tab.drop(tmp_path / "letter.mp4")
    tab.page.get_by_text("letter.mp4:").first.wait_for()
    assert str(tmp_path) not in tab.page.inner_text("body")
