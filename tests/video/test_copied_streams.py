"""What is beside the video stream: sound, subtitles, attachments, chapters, metadata, copied as they are."""

from fractions import Fraction

import pytest
from support.video_runs import upscale
from support.video_samples import (
    CHAPTERS,
    HEIGHT,
    WIDTH,
    decoded,
    frame_pixels,
    packets,
    subtitles_and_attachment,
    video,
)

av = pytest.importorskip("av")

from fastsr.errors import VideoError  # noqa: E402


def test_all_else_is_copied_packet_for_packet(tmp_path):
    source = video(
        tmp_path / "in.mkv",
        sound=True,
        more=subtitles_and_attachment,
        chapters=CHAPTERS,
        metadata={"title": "a video", "ARTIST": "someone", "custom": "kept"},
    )
    upscale(source, tmp_path / "out.mkv", segment=5)
    before, after = packets(source), packets(tmp_path / "out.mkv")
    assert [kind for kind, _ in after.values()] == ["video", "audio", "subtitle", "attachment"]
    assert len(before[1][1]) > 3
    assert len(before[2][1]) == 3
    assert after[1] == before[1]
    assert after[2] == before[2]
    with av.open(str(source)) as given, av.open(str(tmp_path / "out.mkv")) as made:
        assert made.streams[3].data == given.streams[3].data == bytes(range(256)) * 5
        assert made.streams[3].name == "font.ttf"
        assert made.streams[2].language == "deu"
        assert [s.disposition for s in made.streams] == [s.disposition for s in given.streams]
        strip = lambda chapters: [(c["start"], c["end"], c["metadata"]) for c in chapters]  # noqa: E731
        assert len(given.chapters()) == 2
        assert strip(made.chapters()) == strip(given.chapters())
        for key in ("title", "ARTIST"):
            assert made.metadata[key] == given.metadata[key]


def test_sound_of_an_mp4_keeps_its_packets_and_times(tmp_path):
    source = video(tmp_path / "in.mp4", sound=True, metadata={"title": "a video", "com.example.key": "kept"})
    upscale(source, tmp_path / "out.mp4")
    before, after = packets(source), packets(tmp_path / "out.mp4")
    assert before[1][1][0][0] < 0  # the encoder's delay, which an edit list hides
    assert after[1] == before[1]
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert made.metadata["title"] == "a video"


def test_chapters_and_custom_tags_of_an_mp4(tmp_path):
    def tagged(made):
        made.metadata.update({"title": "a video", "com.example.key": "kept"})

    source = tmp_path / "in.mov"
    with av.open(str(source), "w", container_options={"movflags": "use_metadata_tags"}) as made:
        stream = made.add_stream("libx264", rate=25)
        stream.width, stream.height = WIDTH, HEIGHT
        tagged(made)
        made.set_chapters(CHAPTERS)
        for number in range(12):
            made.mux(stream.encode(av.VideoFrame.from_ndarray(frame_pixels(number))))
        made.mux(stream.encode(None))
    upscale(source, tmp_path / "out.mov")
    with av.open(str(tmp_path / "out.mov")) as made:
        assert made.metadata["com.example.key"] == "kept"
        assert [c["metadata"]["title"] for c in made.chapters()] == ["one", "two"]
        assert [c["end"] * c["time_base"] for c in made.chapters()] == [Fraction(1, 5), Fraction(12, 25)]


def test_other_video_streams_are_copied(tmp_path):
    def second(made):
        other = made.add_stream("libx264", rate=30)
        other.width, other.height, other.pix_fmt = 32, 32, "yuv420p"
        other.time_base = other.codec_context.time_base = Fraction(1, 30000)

        def write():
            for number in range(9):
                frame = av.VideoFrame.from_ndarray(frame_pixels(number, 32, 32))
                frame.pts, frame.time_base = number * 1001, Fraction(1, 30000)
                made.mux(other.encode(frame))
            made.mux(other.encode(None))

        return write

    source = video(tmp_path / "in.mp4", more=second)
    upscale(source, tmp_path / "out.mp4")
    before, after = packets(source), packets(tmp_path / "out.mp4")
    assert after[1] == before[1]
    assert len(after[1][1]) == 9
    assert decoded(tmp_path / "out.mp4")[0].width == 2 * WIDTH


def test_a_stream_that_the_container_cannot_hold(tmp_path):
    source = video(tmp_path / "in.mkv", more=subtitles_and_attachment)
    with pytest.raises(
        VideoError, match=r"out.mp4: .mp4 cannot hold stream 1 of the input \(subtitle, .*name the.*mkv"
    ):
        upscale(source, tmp_path / "out.mp4", progress=lambda _: pytest.fail("worked for nothing"))
