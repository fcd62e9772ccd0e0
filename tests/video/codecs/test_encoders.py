"""Encoders: the same request gives the same bytes in every run, on every processor and number of cores."""

import hashlib
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from support.video_samples import frame_pixels

pytest.importorskip("av")

from fastsr.video.arguments import encoder_config
from fastsr.video.codecs.color_conversion import Colors, RgbToYuv
from fastsr.video.codecs.encoder import THREADS, EncoderConfig
from fastsr.video.codecs.encoder_request import EncoderRequest
from fastsr.video.sources.stream_info import StreamInfo
from fastsr.video_formats import CODECS

ROOT = Path(__file__).parents[3]
# x264's AVX-512 code went wrong where the width in macroblocks is no multiple of 8, x265 where it is one block wide
SIZES = [(96, 64), (160, 128), (400, 240), (480, 272)]


def config(size, codec, **asked):
    info = StreamInfo(*size, "yuv420p", Colors(), Fraction(1, 12800), Fraction(25))
    return encoder_config(EncoderRequest(codec=codec, **asked), codec, info, 1, None, None)


def frames(given: EncoderConfig, count):
    """Frames of the kind that a video has, moving."""
    to_yuv = RgbToYuv(given.colors, given.pix_fmt, *given.size)
    made = [to_yuv(frame_pixels(number * 3, *given.size)) for number in range(count)]
    for number, frame in enumerate(made):
        frame.pts, frame.time_base = number * 512, given.time_base
    return made


def digest(given: EncoderConfig, shown):
    """Of all packets and of what stands before them."""
    encoder = given.open()
    made = hashlib.sha256()
    for frame in [*shown, None]:
        for packet in encoder.encode(frame):
            made.update(bytes(packet))
    made.update(encoder.extradata or b"")
    return made.hexdigest()


def digests(given, count, runs):
    shown = frames(given, count)
    return {digest(given, shown) for _ in range(runs)}


@pytest.mark.parametrize("size", SIZES)
def test_h264_has_one_digest_in_20_runs(size):
    assert len(digests(config(size, "h264"), 12, 20)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["superfast", "medium"])
@pytest.mark.parametrize("size", [*SIZES, (64, 64), (64, 128)])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_other_presets_have_one_digest_in_20_runs(codec, size, preset):
    assert len(digests(config(size, codec, preset=preset), 16, 20)) == 1


@pytest.mark.parametrize("size", [(64, 64), (64, 128), (96, 64)])
def test_hevc_has_one_digest(size):
    assert len(digests(config(size, "hevc"), 6, 6)) == 1


@pytest.mark.parametrize("codec", ["av1", "vp9", "prores"])
def test_the_others_have_one_digest(codec):
    assert len(digests(config((160, 128), codec), 6, 4)) == 1


def instruction_sets():
    """What this processor has of those that x264 tells apart, from the plainest on that its results follow."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    named = {"ssse3": "ssse3", "sse4.2": "sse4_2", "avx": " avx ", "avx2": "avx2", "avx512": "avx512vl"}
    return [name for name, flag in named.items() if flag in flags]


@pytest.mark.skipif(len(instruction_sets()) < 2, reason="this processor has only one of the instruction sets")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_bytes_do_not_follow_from_the_instruction_set(codec, size):
    """Each is forced in turn, as a processor without the better ones would choose it."""
    given, parameters = config(size, codec), {"h264": "x264-params", "hevc": "x265-params"}[codec]
    shown, made = frames(given, 8), {digest(given, frames(given, 8))}
    for name in instruction_sets():
        if (codec, name) == ("hevc", "avx512"):
            continue  # libx265 uses that one only where it is asked to
        forced = {**given.options, parameters: f"{given.options[parameters]}:asm={name}"}
        made.add(digest(EncoderConfig(**{**vars(given), "options": forced}), shown))
    assert len(made) == 1


@pytest.mark.parametrize("codec", CODECS)
def test_settings_do_not_follow_the_cores(codec, monkeypatch):
    """What an encoder is asked for is the same wherever; x265's threads beside follow the cores, its bytes do not."""
    here = config((96, 64), codec)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert config((96, 64), codec) == here
    assert here.threads == THREADS


def test_one_core_gives_the_same_bytes():
    """A process that may use one core alone, beside this one."""
    code = (
        "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "sys.path.insert(0, 'tests'); sys.path.insert(0, 'tests/video/codecs')\n"
        "from test_encoders import digests, config\n"
        "print(*[min(digests(config((160, 128), codec), 8, 1)) for codec in ('h264', 'hevc', 'av1', 'vp9')])"
    )
    alone = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert alone.stdout.split() == [
        min(digests(config((160, 128), codec), 8, 1)) for codec in ("h264", "hevc", "av1", "vp9")
    ]


def test_an_identity_says_all_of_a_configuration():
    given = config((96, 64), "h264")
    said = given.identity()
    assert set(said) == set(vars(given))
    assert (said["threads"], said["time_base"], said["options"]["x264-params"]) == (8, "1/12800", "mbtree=0:subme=2")
