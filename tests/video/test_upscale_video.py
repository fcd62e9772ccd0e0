"""Videos into videos: pictures, times, and everything beside the pictures."""

import hashlib
import io
import itertools
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from support.video_samples import HEIGHT, TICKS, WIDTH, constant, decoded, packets, picture, planes, shown, video

av = pytest.importorskip("av")

from av.sidedata.sidedata import Type  # noqa: E402

import fastsr  # noqa: E402
from fastsr.errors import FastsrError, VideoError  # noqa: E402
from fastsr.video.sources.side_data import side_data  # noqa: E402

ROOT = Path(__file__).parents[2]
FAST = {"model": "nearest", "scale": 2}
IRREGULAR = [0, 100, 700, 720, 3000, 3512, 4000, 9000, 9001, 9600, 12000, 12800]


def gentle(number, width, height):
    """Colours that change slowly enough for halved chroma."""
    return picture(number, width * 3, height * 3)[:height, :width]


def upscale(source, target, **options):
    return fastsr.upscale_video(source, target, **{**FAST, **options})


@pytest.fixture
def clip(tmp_path):
    return video(tmp_path / "in.mp4")


# ---------------------------------------------------------------- pictures and times


def test_pictures_are_those_of_the_upscaler(tmp_path):
    source = video(tmp_path / "in.mp4", 5, pix_fmt="yuv444p", options={"qp": "0"})
    result = upscale(source, tmp_path / "out.mp4", lossless=True)
    assert result.frames == 5
    assert (result.repeated, result.resumed, result.damaged) == (0, 0, 0)
    for before, after in zip(decoded(source), decoded(tmp_path / "out.mp4"), strict=True):
        assert (after.width, after.height, after.format.name) == (WIDTH * 2, HEIGHT * 2, "yuv444p")
        for small, large in zip(planes(before), planes(after), strict=True):
            assert np.abs(np.repeat(np.repeat(small, 2, 0), 2, 1) - large).max() <= 1


@pytest.mark.parametrize("times", [constant(12), constant(12, start=12345), IRREGULAR])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_times_are_kept(tmp_path, times, suffix, b_frames):
    source = video(tmp_path / "in.mp4", times=times, options={"bf": b_frames, "b-adapt": "0"})
    assert upscale(source, tmp_path / f"out{suffix}", segment=5, preset="medium").frames == len(times)
    assert [time for time, _ in shown(tmp_path / f"out{suffix}")] == [time for time, _ in shown(source)]
    assert [time for time, _ in shown(source)] == [pts * TICKS for pts in times]


def test_times_in_matroska_are_kept_to_its_millisecond(tmp_path):
    source = video(tmp_path / "in.mkv", times=[13 * i * (i + 3) for i in range(12)], options={"bf": "0"})
    upscale(source, tmp_path / "out.mkv", segment=5)
    assert [time for time, _ in shown(tmp_path / "out.mkv")] == [time for time, _ in shown(source)]
    exact = video(tmp_path / "in.mp4", times=IRREGULAR)
    upscale(exact, tmp_path / "out2.mkv")
    for (after, _), (before, _) in zip(shown(tmp_path / "out2.mkv"), shown(exact), strict=True):
        assert abs(after - before) <= Fraction(1, 2000)


@pytest.mark.parametrize("preset", ["ultrafast", "veryfast"])
def test_the_last_picture_is_shown_as_long_as_before(tmp_path, preset):
    """Whether pictures are reordered (veryfast) or not: MP4 says of each how long until the next is decoded."""
    source = video(tmp_path / "in.mp4", times=IRREGULAR, options={"bf": "0"})
    upscale(source, tmp_path / "out.mp4", preset=preset)
    assert (shown(tmp_path / "out.mp4")[-1] == shown(source)[-1]) == (preset == "ultrafast")
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert after.streams.video[0].duration == before.streams.video[0].duration == 12800 + 512


@pytest.mark.parametrize(
    ("codec", "suffix"), [("h264", ".mp4"), ("hevc", ".mov"), ("av1", ".mp4"), ("vp9", ".mp4"), ("prores", ".mov")]
)
def test_codecs(tmp_path, codec, suffix):
    source = video(tmp_path / "in.mkv", 10, colors=(1, 1, 1, 1), aspect=Fraction(4, 3))
    upscale(source, tmp_path / f"out{suffix}", codec=codec, segment=4)
    with av.open(str(tmp_path / f"out{suffix}")) as made:
        track = made.streams.video[0]
        assert track.codec_context.name in (codec, f"lib{codec}", "libdav1d", "libvpx-vp9")
        assert track.sample_aspect_ratio == Fraction(4, 3)
        frames = list(made.decode(track))
    assert [f.pts * f.time_base for f in frames] == [time for time, _ in shown(source)]
    for frame in frames:
        assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (1, 1, 1, 1)
    difference = frames[3].to_ndarray(format="rgb24", width=WIDTH, height=HEIGHT).astype(int) - picture(3)
    assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
def test_lossless(tmp_path, codec):
    source = video(tmp_path / "in.mkv", 4, options={"qp": "0"}, pixels=gentle, size=(96, 64))
    upscale(source, tmp_path / "out.mkv", codec=codec, lossless=True, scale=1)
    for before, after in zip(decoded(source), decoded(tmp_path / "out.mkv"), strict=True):
        assert max(np.abs(a - b).max() for a, b in zip(planes(before), planes(after), strict=True)) <= 1


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"])
def test_subsampling_and_depth_are_kept(tmp_path, pix_fmt):
    source = video(
        tmp_path / "in.mkv", 3, pix_fmt=pix_fmt, options={"qp": "0"}, colors=(9, 1, 9, 16), pixels=gentle, size=(96, 64)
    )
    upscale(source, tmp_path / "out.mp4", codec="hevc", lossless=True, scale=1)
    for before, after in zip(decoded(source), decoded(tmp_path / "out.mp4"), strict=True):
        assert after.format.name == pix_fmt
        assert (after.colorspace, after.color_range, after.color_primaries, after.color_trc) == (9, 1, 9, 16)
        assert max(np.abs(a - b).max() for a, b in zip(planes(before), planes(after), strict=True)) <= 1


def test_full_range_is_kept(tmp_path):
    source = video(tmp_path / "in.mkv", 3, colors=(6, 2, 6, 6))
    upscale(source, tmp_path / "out.mp4")
    assert {(f.colorspace, f.color_range) for f in decoded(tmp_path / "out.mp4")} == {(6, 2)}


def test_equal_pictures_are_computed_once(tmp_path):
    def still(number, width, height):
        return picture(number // 4, width, height)

    source = video(tmp_path / "in.mp4", 12, pixels=still, options={"qp": "0"})
    assert upscale(source, tmp_path / "out.mp4").repeated == 9
    assert len(decoded(tmp_path / "out.mp4")) == 12


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


def test_realism_makes_other_pictures(tmp_path, clip):
    for realism in (0, 1):
        options = {"model": "srgan-x4", "realism": realism, "scale": 2, "end": 0.05, "tile": 200}
        fastsr.upscale_video(clip, tmp_path / f"{realism}.mp4", lossless=True, **options)
    faithful, rich = (planes(decoded(tmp_path / f"{realism}.mp4")[0])[0] for realism in (0, 1))
    assert (faithful != rich).any()


# ---------------------------------------------------------------- everything else


def subtitles_and_attachment(made):
    subtitles = made.add_mux_stream("subrip")
    subtitles.metadata["language"] = "deu"
    made.add_attachment("font.ttf", "font/ttf", bytes(range(256)) * 5)

    def write():
        for number in range(3):
            packet = av.Packet(f"line {number}".encode())
            packet.pts = packet.dts = number * 150
            packet.duration, packet.time_base, packet.stream = 100, Fraction(1, 1000), subtitles
            made.mux(packet)

    return write


CHAPTERS = [
    {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}},
    {"id": 2, "start": 200, "end": 480, "time_base": Fraction(1, 1000), "metadata": {"title": "two"}},
]


def test_all_else_is_copied_packet_for_packet(tmp_path):
    source = video(
        tmp_path / "in.mkv",
        sound=True,
        more=subtitles_and_attachment,
        chapters=CHAPTERS,
        metadata={"title": "a film", "ARTIST": "someone", "custom": "kept"},
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
    source = video(tmp_path / "in.mp4", sound=True, metadata={"title": "a film", "com.example.key": "kept"})
    upscale(source, tmp_path / "out.mp4")
    before, after = packets(source), packets(tmp_path / "out.mp4")
    assert before[1][1][0][0] < 0  # the encoder's delay, which an edit list hides
    assert after[1] == before[1]
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert made.metadata["title"] == "a film"


def test_chapters_and_custom_tags_of_an_mp4(tmp_path):
    def tagged(made):
        made.metadata.update({"title": "a film", "com.example.key": "kept"})

    source = tmp_path / "in.mov"
    with av.open(str(source), "w", container_options={"movflags": "use_metadata_tags"}) as made:
        stream = made.add_stream("libx264", rate=25)
        stream.width, stream.height = WIDTH, HEIGHT
        tagged(made)
        made.set_chapters(CHAPTERS)
        for number in range(12):
            made.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number))))
        made.mux(stream.encode(None))
    upscale(source, tmp_path / "out.mov")
    with av.open(str(tmp_path / "out.mov")) as made:
        assert made.metadata["com.example.key"] == "kept"
        assert [c["metadata"]["title"] for c in made.chapters()] == ["one", "two"]
        assert [c["end"] * c["time_base"] for c in made.chapters()] == [Fraction(1, 5), Fraction(12, 25)]


def test_other_picture_tracks_are_copied(tmp_path):
    def second(made):
        other = made.add_stream("libx264", rate=30)
        other.width, other.height, other.pix_fmt = 32, 32, "yuv420p"
        other.time_base = other.codec_context.time_base = Fraction(1, 30000)

        def write():
            for number in range(9):
                frame = av.VideoFrame.from_ndarray(picture(number, 32, 32))
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


QUARTER = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)


def turned(path, matrix=QUARTER):
    """Write a display matrix, by default a quarter turn, into the track header of an MP4."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    content[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_rotation_is_carried(tmp_path, name):
    source = turned(video(tmp_path / "in.mp4", sound=True))
    upscale(source, tmp_path / name, codec="hevc" if name == "out.mkv" else None)
    before, after = decoded(source)[0], decoded(tmp_path / name)[0]
    assert abs(before.rotation) == 90
    assert side_data(after).get(Type.DISPLAYMATRIX) == side_data(before).get(Type.DISPLAYMATRIX)
    assert (after.width, after.height) == (2 * WIDTH, 2 * HEIGHT)
    assert len(decoded(tmp_path / name)) == 12
    assert packets(tmp_path / name)[1][0] == "audio"


def shown_by_ffmpeg(frame):
    """The pixels of a frame turned by FFmpeg's own filters, as its players turn them."""
    graph = av.filter.Graph()
    buffer = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TICKS)
    a, b, _, c, d, *_ = struct.unpack("=9i", side_data(frame)[Type.DISPLAYMATRIX])
    names = ["format=gbrp"]
    if a == 0:  # x and y change places, then each may be mirrored
        names += ["transpose=cclock_flip", *["hflip"] * (c < 0), *["vflip"] * (b < 0)]
    else:
        names += [*["hflip"] * (a < 0), *["vflip"] * (d < 0)]
    steps = [graph.add(*name.split("=")) for name in names]
    graph.link_nodes(buffer, *steps, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull().to_ndarray(format="rgb24")


MATRICES = {
    "quarter": QUARTER,
    "three quarters": (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30),
    "half": (-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30),
    "mirrored": (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30),
    "mirrored quarter": (0, 65536, 0, 65536, 0, 0, 0, 0, 1 << 30),
}


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_numbered_images_are_upright(tmp_path, matrix):
    """Images cannot say how they are turned, so their pixels are."""
    source = turned(video(tmp_path / "in.mp4", 3, pix_fmt="yuv444p", options={"qp": "0"}), matrix)
    upscale(source, tmp_path / "%d.png", scale=1)
    for number, frame in enumerate(decoded(source), 1):
        expected = shown_by_ffmpeg(frame)
        with Image.open(tmp_path / f"{number}.png") as made:
            assert made.size == ((HEIGHT, WIDTH) if matrix[0] == 0 else (WIDTH, HEIGHT))
            assert np.abs(np.asarray(made).astype(int) - expected).max() <= 2


def test_the_size_of_upright_images_is_that_of_what_is_shown(tmp_path):
    source = turned(video(tmp_path / "in.mp4", 2, aspect=Fraction(4, 3)))
    upscale(source, tmp_path / "%d.png", scale=None, size=(64, 100))
    with Image.open(tmp_path / "1.png") as made:
        assert made.size == (64, 100)


def test_strips_are_upright(tmp_path):
    upscale(turned(video(tmp_path / "in.mp4", 8)), tmp_path / "strip.png", preview=True)
    with Image.open(tmp_path / "strip.png") as made:
        assert made.size == (2 * 2 * HEIGHT, 4 * 2 * WIDTH)


def test_a_rotation_that_is_no_quarter_turn_is_said_to_be_lost(tmp_path):
    skewed = (46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)
    source = turned(video(tmp_path / "in.mp4", 2), skewed)
    with pytest.warns(RuntimeWarning, match=r"in\.mp4: its rotation by 45 degrees is lost"):
        upscale(source, tmp_path / "%d.png")


# ---------------------------------------------------------------- what lies beside samples


def stills(path, codec, pix_fmt, images):
    """A video of finished images, each a packet."""
    with av.open(str(path), "w") as made:
        stream = made.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        for number, data in enumerate(images):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, number, number, True
            packet.time_base = Fraction(1, 25)
            made.mux(packet)
    return path


def still(number, kind, **options):
    made = io.BytesIO()
    Image.fromarray(picture(number)).save(made, kind, **options)
    return made.getvalue()


def test_colour_profiles_and_exif_do_not_end_the_process(tmp_path):
    """In a process of its own: what frees memory twice ends it at any time after."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010E] = "a description"
    png = [still(n, "PNG", icc_profile=profile, exif=exif) for n in range(4)]
    jpeg = [still(n, "JPEG", icc_profile=profile, exif=exif) for n in range(4)]
    sources = [
        stills(tmp_path / "png.mov", "png", "rgb24", png),
        stills(tmp_path / "jpeg.mov", "mjpeg", "yuvj420p", jpeg),
        stills(tmp_path / "jpeg.avi", "mjpeg", "yuvj420p", jpeg),
    ]
    code = (
        "import fastsr, sys\n"
        "for name in sys.argv[1:]:\n"
        "    print(fastsr.upscale_video(name, name + '.mp4', model='nearest', scale=2).frames)"
    )
    command = [sys.executable, "-c", code, *map(str, sources)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["4", "4", "4"]), done.stderr


HDR = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"


@pytest.mark.parametrize("codec", ["hevc", "h264", "av1"])
def test_hdr10_metadata_is_copied(tmp_path, codec):
    options = {"x265-params": f"log-level=error:hdr10=1:{HDR}"}
    source = video(
        tmp_path / "in.mkv",
        3,
        codec="libx265",
        pix_fmt="yuv420p10le",
        options=options,
        colors=(9, 1, 9, 16),
        size=(96, 64),
    )
    upscale(source, tmp_path / "out.mp4", codec=codec)
    before, after = decoded(source)[0], decoded(tmp_path / "out.mp4")[0]
    assert after.format.name == "yuv420p10le"
    assert (after.colorspace, after.color_primaries, after.color_trc) == (9, 9, 16)
    assert side_data(before).get(Type.CONTENT_LIGHT_LEVEL) is not None
    assert side_data(after).get(Type.CONTENT_LIGHT_LEVEL) == side_data(before).get(Type.CONTENT_LIGHT_LEVEL)

    def numbers(frame):
        given = struct.unpack_from("=22i", side_data(frame).get(Type.MASTERING_DISPLAY_METADATA))
        return [given[i] / given[i + 1] for i in range(0, 20, 2)]

    # AV1 has other units: 1/65536, and 1/256 and 1/16384 cd/m2
    np.testing.assert_allclose(numbers(after), numbers(before), rtol=0, atol=1e-5 if codec != "av1" else 1e-4)


def test_what_a_codec_cannot_hold_of_hdr10_is_said(tmp_path):
    options = {"x265-params": f"log-level=error:hdr10=1:{HDR}"}
    source = video(tmp_path / "in.mkv", 3, codec="libx265", pix_fmt="yuv420p10le", options=options, size=(96, 64))
    with pytest.warns(RuntimeWarning, match="prores holds no HDR10 metadata"):
        upscale(source, tmp_path / "out.mov", codec="prores")


def test_interlaced_input_is_refused_or_made_whole(tmp_path):
    options = {"flags": "+ildct+ilme", "x264-params": "interlaced=1:tff=1"}
    source = video(tmp_path / "in.mkv", 8, options=options, interlaced=True, size=(48, 64))
    assert decoded(source)[0].interlaced_frame
    with pytest.raises(VideoError, match=r"interlaced.*--deinterlace"):
        upscale(source, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()
    assert upscale(source, tmp_path / "out.mkv", deinterlace=True).frames == 8
    assert [time for time, _ in shown(tmp_path / "out.mkv")] == [time for time, _ in shown(source)]
    assert not decoded(tmp_path / "out.mkv")[0].interlaced_frame


# ---------------------------------------------------------------- parts


def test_start_and_end(tmp_path):
    source = video(tmp_path / "in.mp4", 50, sound=True, chapters=CHAPTERS, options={"g": "10"})
    result = upscale(source, tmp_path / "out.mp4", start=0.4, end=1.2)
    assert result.frames == 20
    times = [time for time, _ in shown(tmp_path / "out.mp4")]
    assert times == [Fraction(number, 25) for number in range(20)]
    expected = [entry for entry in packets(source)[1][1] if 3200 <= entry[0] < 9600]
    made = packets(tmp_path / "out.mp4")[1][1]
    assert [entry[4] for entry in made] == [entry[4] for entry in expected]
    assert [entry[0] for entry in made] == [entry[0] - 3200 for entry in expected]
    with av.open(str(tmp_path / "out.mp4")) as given:
        assert [c["metadata"]["title"] for c in given.chapters()] == ["two"]
        assert given.chapters()[0]["end"] * given.chapters()[0]["time_base"] == Fraction(8, 100)


def test_the_pictures_of_a_part_are_the_right_ones(tmp_path):
    source = video(tmp_path / "in.mp4", 30, options={"g": "7", "qp": "0"}, pixels=gentle, size=(96, 64))
    upscale(source, tmp_path / "out.mp4", start=0.6, scale=1, lossless=True)
    expected = decoded(source)[15:]
    for before, after in zip(expected, decoded(tmp_path / "out.mp4"), strict=True):
        assert max(np.abs(a - b).max() for a, b in zip(planes(before), planes(after), strict=True)) <= 1


def test_fps_limit_drops_pictures_and_keeps_times(tmp_path):
    source = video(tmp_path / "in.mp4", 50)
    assert upscale(source, tmp_path / "out.mp4", fps_limit=10).frames == 20
    made = [time for time, _ in shown(tmp_path / "out.mp4")]
    assert set(made) <= {time for time, _ in shown(source)}
    assert all(later - earlier >= Fraction(2, 25) for earlier, later in itertools.pairwise(made))


def test_progress(tmp_path, clip):
    seen = []
    upscale(clip, tmp_path / "out.mp4", progress=seen.append)
    assert [p.frames for p in seen] == list(range(1, 13))
    assert {p.total for p in seen} == {12}
    assert seen[-1].shown == pytest.approx(12 / 25)
    assert seen[-1].real_time_factor == pytest.approx(seen[-1].shown / seen[-1].elapsed)


# ---------------------------------------------------------------- odd sources


def test_animated_gif(tmp_path):
    from PIL import Image

    pictures = [Image.fromarray(picture(number)) for number in range(4)]
    pictures[0].save(tmp_path / "in.gif", save_all=True, append_images=pictures[1:], duration=[100, 50, 200, 70])
    assert upscale(tmp_path / "in.gif", tmp_path / "out.mp4").frames == 4
    times = [time for time, _ in shown(tmp_path / "out.mp4")]
    assert times == [Fraction(n, 100) for n in (0, 10, 15, 35)]
    frame = decoded(tmp_path / "out.mp4")[2]
    assert (frame.colorspace, frame.format.name) == (1, "yuv420p")
    assert np.abs(frame.to_ndarray(format="rgb24", width=WIDTH, height=HEIGHT).astype(int) - picture(2)).mean() < 12


def test_odd_sides_become_even_where_the_format_needs_it(tmp_path):
    source = video(tmp_path / "in.mkv", 3, pix_fmt="yuv444p", size=(33, 31))
    upscale(source, tmp_path / "a.mkv", scale=1)
    assert (decoded(tmp_path / "a.mkv")[0].width, decoded(tmp_path / "a.mkv")[0].height) == (33, 31)
    upscale(source, tmp_path / "b.mkv", scale=1, pix_fmt="yuv420p")
    assert (decoded(tmp_path / "b.mkv")[0].width, decoded(tmp_path / "b.mkv")[0].height) == (34, 32)
    with pytest.raises(VideoError, match=r"yuv420p holds no 33x31; ask for 34x32"):
        fastsr.upscale_video(source, tmp_path / "c.mkv", model="nearest", size=(33, 31), pix_fmt="yuv420p")


def test_another_shape_changes_the_aspect_of_samples(tmp_path):
    source = video(tmp_path / "in.mkv", 3, aspect=Fraction(1))
    fastsr.upscale_video(source, tmp_path / "out.mkv", model="nearest", size=(WIDTH * 4, HEIGHT * 2))
    with av.open(str(tmp_path / "out.mkv")) as made:
        assert made.streams.video[0].sample_aspect_ratio == Fraction(1, 2)


def test_an_aspect_that_would_be_lost_is_refused(tmp_path):
    source = video(tmp_path / "in.mkv", 3, aspect=Fraction(4, 3))
    with pytest.raises(VideoError, match="sample aspect ratio 4/3 would be lost with vp9 here"):
        upscale(source, tmp_path / "out.webm")
    fastsr.upscale_video(source, tmp_path / "out.webm", model="nearest", size=(WIDTH * 4, HEIGHT * 3))
    assert len(decoded(tmp_path / "out.webm")) == 3


# ---------------------------------------------------------------- refusals


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


def test_a_stream_that_the_container_cannot_hold(tmp_path):
    source = video(tmp_path / "in.mkv", more=subtitles_and_attachment)
    with pytest.raises(
        VideoError, match=r"out.mp4: .mp4 cannot hold stream 1 of the input \(subtitle, .*name the.*mkv"
    ):
        upscale(source, tmp_path / "out.mp4", progress=lambda _: pytest.fail("worked for nothing"))


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

        def stream(self, frames, scale=None, size=None):
            for number, frame in enumerate(frames):
                if number == 3:
                    raise RuntimeError("out of magic")
                yield np.repeat(np.repeat(frame, 2, 0), 2, 1)

    with pytest.raises(VideoError, match=r"in\.mp4: upscale, frame 3: out of magic"):
        fastsr.upscale_video(clip, target, model=Broken())
    assert target.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_pictures_that_an_encoder_loses_are_noticed(tmp_path, clip, monkeypatch):
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


# ---------------------------------------------------------------- the module


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )


def test_importing_fastsr_does_not_import_pyav():
    done = run_python(
        "import sys, fastsr; assert 'av' not in sys.modules; fastsr.upscale_video; assert 'av' in sys.modules"
    )
    assert done.returncode == 0, done.stderr


def test_without_pyav_it_says_what_to_install():
    code = "import sys; sys.modules['av'] = None; import fastsr; fastsr.upscale_video"
    assert "VideoError: video needs PyAV" in run_python(code).stderr
    assert "run: pip install 'fastsr[video]'" in run_python(code).stderr


def test_the_same_call_gives_the_same_bytes(tmp_path):
    source = video(tmp_path / "in.mkv", sound=True)
    for suffix in (".mp4", ".mkv"):
        hashes = set()
        for number in range(2):
            upscale(source, tmp_path / f"out{number}{suffix}")
            hashes.add(hashlib.sha256((tmp_path / f"out{number}{suffix}").read_bytes()).hexdigest())
        assert len(hashes) == 1
