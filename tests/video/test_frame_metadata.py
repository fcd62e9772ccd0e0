"""What frames carry beside their samples: colour profiles, EXIF, HDR10's metadata."""

import io
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from support.video_runs import upscale
from support.video_samples import HEIGHT, WIDTH, decoded, frame_pixels, video

av = pytest.importorskip("av")

from av.sidedata.sidedata import Type  # noqa: E402

from fastsr.video.sources.side_data import side_data  # noqa: E402

ROOT = Path(__file__).parents[2]
HDR = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"


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
    Image.fromarray(frame_pixels(number)).save(made, kind, **options)
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
