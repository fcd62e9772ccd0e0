"""Files and folders that mean harm or change under a run, and too little memory: a clear error, nothing half made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from support.video_samples import decoded, frame_pixels, video

av = pytest.importorskip("av")

import fastsr  # noqa: E402
from fastsr.errors import VideoError  # noqa: E402
from fastsr.video.sources.input_spec import FORMATS  # noqa: E402

ROOT = Path(__file__).parents[3]
OPTIONS = {"model": "nearest", "scale": 1, "preset": "ultrafast"}


@pytest.mark.parametrize("name", ["list.mp4", "list.mkv", "list.avi"])
def test_a_list_of_other_files_is_not_followed(tmp_path, name):
    video(tmp_path / "private.mp4", 4)
    (tmp_path / name).write_text("ffconcat version 1.0\nfile private.mp4\n")
    with pytest.raises(VideoError, match=rf"{name}: cannot be opened as a video"):
        fastsr.upscale_video(tmp_path / name, tmp_path / "out.mp4", **OPTIONS)


def test_a_playlist_is_not_followed(tmp_path):
    video(tmp_path / "private.ts", 4)
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nprivate.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.ts").write_text(text)
    with pytest.raises(VideoError, match=r"list\.ts: cannot be opened as a video"):
        fastsr.upscale_video(tmp_path / "list.ts", tmp_path / "out.mp4", **OPTIONS)


def test_formats_are_known_and_read_one_file():
    assert len(set(FORMATS)) == len(FORMATS)
    assert not {"concat", "hls", "dash", "image2", "imf", "rtsp", "sdp", "vobsub", "lavfi"} & set(FORMATS)
    missing = {name for name in FORMATS if name not in av.formats_available}
    assert not missing


@pytest.mark.parametrize("change", ["replaced", "written to", "removed"])
def test_an_input_that_changes_while_it_is_read_is_noticed(tmp_path, change):
    """Otherwise the old frames would get the new file's sound."""
    source, target = video(tmp_path / "in.mp4", 12, sound=True), tmp_path / "out.mp4"
    other = video(tmp_path / "other.mp4", 12, sound=True)
    there = source.stat()

    def progress(now):
        if now.frames == 6 and change == "replaced":
            os.utime(other, ns=(there.st_atime_ns, there.st_mtime_ns))
            other.replace(source)
        elif now.frames == 6 and change == "written to":
            with source.open("ab") as file:
                file.write(b"more")
        elif now.frames == 6:
            source.unlink()

    with pytest.raises(VideoError, match=r"in\.mp4: was replaced or changed while it was read"):
        fastsr.upscale_video(source, target, **OPTIONS, progress=progress)
    assert not target.exists()


@pytest.mark.parametrize("pattern", ["%099999999999d.png", "%0999d.png", "%99999999999999999999d.png"])
def test_numbers_that_no_name_can_hold_are_refused(tmp_path, pattern):
    Image.fromarray(frame_pixels(0)).save(tmp_path / "1.png")
    with pytest.raises(VideoError, match="asks for too many digits; write %05d"):
        fastsr.upscale_video(tmp_path / pattern, tmp_path / "out.mp4", **OPTIONS)
    with pytest.raises(VideoError, match="asks for too many digits; write %05d"):
        fastsr.upscale_video(video(tmp_path / "in.mp4", 2), tmp_path / pattern, **OPTIONS)


def test_a_stream_of_an_unknown_codec_is_refused_by_name(tmp_path):
    """FFmpeg gives it no decoder, so PyAV knows no name of its codec."""
    source = video(tmp_path / "in.mkv", 4, sound=True)
    content = source.read_bytes()
    assert content.count(b"A_AAC") == 1
    source.write_bytes(content.replace(b"A_AAC", b"A_XYZ"))
    with pytest.raises(VideoError, match=r"\.mp4 cannot hold stream 1 of the input \(audio, unknown codec\)"):
        fastsr.upscale_video(source, tmp_path / "out.mp4", **OPTIONS)


def test_a_wild_time_of_one_frame_is_not_believed(tmp_path):
    """In a transport stream with a damaged field, one frame would be shown hours later."""
    plain = video(tmp_path / "plain.ts", 24, options={"bf": "2", "b-adapt": "0"})
    source = tmp_path / "in.ts"
    with av.open(str(plain)) as given, av.open(str(source), "w") as made:
        copy = made.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(p for p in given.demux() if p.size):
            packet.pts += 20000 * 90000 if number == 6 else 0
            packet.stream = copy
            made.mux(packet)
    target = tmp_path / "out.mp4"
    assert fastsr.upscale_video(source, target, **OPTIONS).frames == 24
    shown = [frame.pts * frame.time_base for frame in decoded(target)]
    assert len(shown) == 24
    assert max(shown) - min(shown) < 2


LIMITED = """
import resource, sys, fastsr
from fastsr.errors import FastsrError
import fastsr.video.upscale_video
model = fastsr.load("bicubic")
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + int(sys.argv[1]) * 2**20,) * 2)
try:
    fastsr.upscale_video(sys.argv[2], sys.argv[3], model=model, scale=4, codec=sys.argv[4])
    print("made")
except FastsrError as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited by what Linux counts")
@pytest.mark.parametrize("codec", ["h264", "vp9"])  # libx265 waits for ever for threads that it was refused
@pytest.mark.parametrize("room", [20, 200])
def test_too_little_memory_is_called_so(tmp_path, codec, room):
    """Neither the file nor the codec is at fault, and the error is one that callers expect."""
    source = video(tmp_path / "in.mp4", 4, size=(640, 360))
    command = [sys.executable, "-c", LIMITED, str(room), str(source), str(tmp_path / "out.mp4"), codec]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "memory" in done.stdout or done.stdout == "made\n"
    assert "check the file" not in done.stdout
    assert "another --codec" not in done.stdout
    assert (tmp_path / "out.mp4").exists() == (done.stdout == "made\n")
