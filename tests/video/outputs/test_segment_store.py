"""The folder of unfinished work: what it keeps, and who may hold it."""

import contextlib
import os

import pytest
from support.video_runs import names
from support.video_samples import video

pytest.importorskip("av")

import fastsr
from fastsr.errors import VideoError
from fastsr.video.frame import ResumePoint
from fastsr.video.outputs.segment_file import EncodedFrame
from fastsr.video.outputs.segment_store import SegmentStore

OPTIONS = {"model": "bicubic", "scale": 2, "segment": 6}


def test_two_runs_do_not_share_their_work(tmp_path):
    store = SegmentStore(tmp_path / "out.mp4", {})
    with pytest.raises(VideoError, match=r"out\.mp4: another process is making it"):
        SegmentStore(tmp_path / "out.mp4", {})
    store.close()
    SegmentStore(tmp_path / "out.mp4", {}).remove()
    assert names(tmp_path) == []


def test_a_store_keeps_packets_and_marks(tmp_path):
    store = SegmentStore(tmp_path / "out", {"a": 1})
    writer = store.writer()
    packets = [EncodedFrame(5, 1, True, b"abc"), EncodedFrame(-7, 0, False, b""), EncodedFrame(6, 2, False, bytes(999))]
    for packet in packets:
        writer.write(packet)
    store.add(writer, ResumePoint(3, 77, 12345))
    store.close()
    again = SegmentStore(tmp_path / "out", {"a": 1})
    assert list(again.encoded_frames()) == packets
    assert again.times() == ([5, -7, 6], 2)
    assert (again.packets, again.resume, again.complete) == (3, ResumePoint(3, 77, 12345), False)
    again.close()
    other = SegmentStore(tmp_path / "out", {"a": 2})
    assert (other.packets, other.resume) == (0, None)
    other.remove()


def test_only_its_owner_reaches_it(tmp_path):
    """Whatever the umask, and where an older version or somebody else left it open."""
    folder = tmp_path / ".out.mp4.fastsr-work"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    store = SegmentStore(tmp_path / "out.mp4", {})
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    store.remove()


@pytest.mark.parametrize("name", ["lock", "job.json", "partial.json", "000000.part", "000000.segment"])
@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_links_in_it_are_not_followed(tmp_path, name, link):
    """Nothing outside of the folder is written to: it is refused, or the link itself is replaced."""
    precious, folder = tmp_path / "precious", tmp_path / ".out.mp4.fastsr-work"
    precious.write_text("precious")
    folder.mkdir()
    (folder / name).symlink_to(precious) if link == "symbolic" else (folder / name).hardlink_to(precious)
    source = video(tmp_path / "in.mp4", 8)
    refused = pytest.raises(VideoError, match="remove that folder") if (name, link) == ("lock", "symbolic") else None
    with refused or contextlib.nullcontext():
        fastsr.upscale_video(source, tmp_path / "out.mp4", **OPTIONS)
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("what", ["link", "file"])
def test_what_is_no_folder_is_refused(tmp_path, what):
    other, folder = tmp_path / "other", tmp_path / ".out.mp4.fastsr-work"
    other.mkdir()
    folder.symlink_to(other) if what == "link" else folder.write_text("")
    with pytest.raises(VideoError, match=r"\.out\.mp4\.fastsr-work: is not a folder.*remove it"):
        SegmentStore(tmp_path / "out.mp4", {})
    assert names(other) == []


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    SegmentStore(tmp_path / "out.mp4", {}).close()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(VideoError, match=r"fastsr-work: belongs to another user; remove it"):
        SegmentStore(tmp_path / "out.mp4", {})


def test_a_pipe_in_place_of_the_lock_does_not_hang(tmp_path):
    folder = tmp_path / ".out.mp4.fastsr-work"
    folder.mkdir()
    os.mkfifo(folder / "lock")
    with pytest.raises(VideoError, match="remove that folder"):
        SegmentStore(tmp_path / "out.mp4", {})
