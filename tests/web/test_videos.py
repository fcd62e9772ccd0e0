"""Videos: what is refused, found again, stopped and continued; the same bytes as from Python."""

import filecmp
import signal
import time
from pathlib import Path

import pytest
from support.web_server import PATIENT, serving

from fastsr.errors import FastsrError
from fastsr.web import videos
from fastsr.web.jobs import Job, StoppedError, Turns
from fastsr.web.settings import Settings
from fastsr.web.store import Store
from fastsr.web.videos import VideoRequest

pytest.importorskip("av", reason="PyAV is not installed")
from support import video_samples

import fastsr

FRAMES = 3 * videos.SEGMENT
QUICK = VideoRequest("bicubic", "2x")


@pytest.fixture
def settings(tmp_path):
    return Settings(folder=tmp_path / "web", max_megapixels=0.01, max_minutes=1)


@pytest.fixture
def store(settings):
    return Store(settings.folder, settings.keep_hours)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "my clip.mp4"
    video_samples.video(path, frames=FRAMES, sound=True)
    return path


@pytest.fixture(scope="module")
def made(clip):
    """What the library makes of it."""
    target = clip.with_name("made.mp4")
    fastsr.upscale_video(clip, target, model="bicubic", scale=2, segment=videos.SEGMENT)
    return target


def run(place, settings, stop_at=None):
    """Make a video, or stop after so many frames."""
    job = None

    def work(job):
        return videos.make(place, settings, Turns(), job)

    class Stopping(Job):
        def report(self, done, total):
            if done == stop_at:
                self.stop()
            super().report(done, total)

    job = Stopping(work)
    job.start()
    for _ in job.follow():
        pass
    return job.result()


def test_the_result_equals_that_of_the_library(clip, made, store, settings):
    place = videos.place_for(store, clip, QUICK)
    result = run(place, settings)
    assert result.path.name == "my clip-x2.mp4"
    assert (result.size, result.model, result.frames, result.resumed) == ((96, 64), "bicubic", FRAMES, 0)
    assert filecmp.cmp(result.path, made, shallow=False)
    assert videos.finished(place).path == result.path


def test_what_was_stopped_goes_on_after_a_restart(clip, made, store, settings, tmp_path):
    place = videos.place_for(store, clip, QUICK)
    with pytest.raises(StoppedError):
        run(place, settings, stop_at=2 * videos.SEGMENT + 10)
    assert place.begun
    assert videos.finished(place) is None
    copy = tmp_path / "again.mp4"  # uploaded once more, as another file
    copy.write_bytes(clip.read_bytes())
    again = videos.place_for(Store(settings.folder, 1), copy, QUICK)
    assert again == place
    result = run(again, settings)
    assert result.resumed >= videos.SEGMENT
    assert filecmp.cmp(result.path, made, shallow=False)


def test_other_wishes_have_other_places(clip, store):
    wishes = [QUICK, VideoRequest("bicubic", "3x"), VideoRequest("bicubic", "2x", format="mkv")]
    assert len({videos.place_for(store, clip, wish).folder for wish in wishes}) == 3


def test_a_place_is_known_by_its_folder(clip, store):
    place = videos.place_for(store, clip, QUICK)
    assert videos.known_place(place.folder) == place
    assert videos.known_place(store.session(store.new_token())) is None


def test_frames_and_length_are_bounded_before_decoding(clip, store, settings, tmp_path):
    with pytest.raises(FastsrError, match=r"longer than the 0\.01 minutes"):
        videos.check_video(clip, Settings(folder=settings.folder, max_minutes=0.01))
    with pytest.raises(FastsrError, match=r"frames of 48 x 32 are larger than the 0\.001 megapixels"):
        videos.check_video(clip, Settings(folder=settings.folder, max_megapixels=0.001))
    with pytest.raises(FastsrError, match="would have"):
        run(videos.place_for(store, clip, VideoRequest("bicubic", "32x")), settings)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(FastsrError, match=r"text\.mp4: cannot be opened as a video"):
        videos.check_video(tmp_path / "text.mp4", settings)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"model": "fast-x5"}, "unknown model"),
        ({"size": "big"}, "write a factor"),
        ({"format": "gif"}, "unknown format 'gif'; there are: like the source, m4v, mkv"),
        ({"codec": "mpeg2"}, "unknown codec 'mpeg2'; there are: usual, h264"),
    ],
    ids=str,
)
def test_wrong_wishes(wish, message):
    with pytest.raises(FastsrError, match=message):
        VideoRequest(**wish)


def test_a_still_is_a_frame_from_within(clip, store, settings):
    import numpy as np
    from PIL import Image

    path = videos.still(clip, store.session(store.new_token()), settings)
    shown = np.asarray(Image.open(path)).astype(int)
    distances = [np.abs(shown - video_samples.frame_pixels(n)).mean() for n in range(FRAMES)]
    assert 0.3 < int(np.argmin(distances)) / FRAMES < 0.37


def call(client, clip, **options):
    from gradio_client import handle_file

    return Path(client.predict(handle_file(str(clip)), **options, api_name="/upscale_video"))


def test_through_the_api(client, clip, made):
    result = call(client, clip, model="bicubic")
    assert result.name == "my clip-x2.mp4"
    assert filecmp.cmp(result, made, shallow=False)
    assert call(client, clip, model="bicubic", format="mkv").suffix == ".mkv"


def test_a_server_that_was_killed_goes_on(clip, tmp_path):
    """Killed once the first segment is stored; the next server makes what is left."""
    pytest.importorskip("gradio", reason='Gradio is not installed: pip install "fastsr[web]"')
    from gradio_client import Client, handle_file

    folder = tmp_path / "web"
    with serving(folder) as (address, process):
        client = Client(address, verbose=False, httpx_kwargs=PATIENT)
        client.submit(handle_file(str(clip)), model="fast-x4", size="4x", api_name="/upscale_video")
        end = time.monotonic() + 120
        while not (stored := list(folder.glob("files/v-*/.*.fastsr-work/*[0-9]*"))):
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    (place,) = folder.glob("files/v-*")
    assert stored
    assert not list(place.glob("*-x4.mp4"))
    with serving(folder) as (address, _):
        result = call(Client(address, verbose=False, httpx_kwargs=PATIENT), clip, model="fast-x4", size="4x")
    expected = tmp_path / "whole.mp4"
    fastsr.upscale_video(clip, expected, model=fastsr.load("fast-x4", video=True), segment=videos.SEGMENT)
    assert filecmp.cmp(result, expected, shallow=False)
