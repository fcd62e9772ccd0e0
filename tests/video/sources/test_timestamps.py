"""Timestamps that restart or jump: what follows goes on where all before it has ended, audio and video together."""

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest
from support.video_runs import Kill, stop_after
from support.video_samples import RATE, decoded, frame_pixels, packets, video

av = pytest.importorskip("av")

from av.audio.frame import AudioFrame  # noqa: E402
from av.video.frame import VideoFrame  # noqa: E402

import fastsr  # noqa: E402
from fastsr.video.sources.timestamps import ContinuousTimestamps  # noqa: E402

OPTIONS = {"model": "nearest", "scale": 1, "preset": "ultrafast"}
FRAMES = 20


def transport_stream(path, first=0, frames=FRAMES, options=None):
    """An MPEG-TS of moving frames with a tone, from frame `first` on; times begin where they always do."""
    with av.open(str(path), "w") as made:
        stream = made.add_stream("libx264", rate=RATE, options=options or {"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = made.add_stream("aac", rate=48000, layout="mono")
        for number in range(frames):
            frame = VideoFrame.from_ndarray(frame_pixels(first + number, 64, 48), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            made.mux(stream.encode(frame))
            samples = np.sin(np.arange(number * 1920, (number + 1) * 1920) * 0.06).astype(np.float32)[None]
            tone = AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            tone.sample_rate, tone.pts, tone.time_base = 48000, number * 1920, Fraction(1, 48000)
            made.mux(sound.encode(tone))
        made.mux(stream.encode(None))
        made.mux(sound.encode(None))
    return path


def joined(tmp_path, parts=2):
    """Recordings joined byte by byte, as recorders and `cat` do."""
    made = [transport_stream(tmp_path / f"{n}.ts", n * FRAMES) for n in range(parts)]
    path = tmp_path / "in.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in made))
    return path


def times(path):
    return [frame.pts * frame.time_base for frame in decoded(path)]


def steps(path):
    return [after - before for before, after in itertools.pairwise(times(path))]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.filterwarnings("error")
def test_joined_recordings_follow_each_other(tmp_path, suffix, parts):
    source, target = joined(tmp_path, parts), tmp_path / f"out{suffix}"
    assert fastsr.upscale_video(source, target, **OPTIONS).frames == parts * FRAMES
    made = steps(target)
    for number, step in enumerate(made, 1):
        if number % FRAMES:
            assert abs(step - Fraction(1, RATE)) <= Fraction(1, 1000), number
        else:  # sound that lasts longer than the frames is waited for
            assert Fraction(1, RATE) - Fraction(1, 500) <= step <= Fraction(1, 4), number
    sound = {path: packets(path)[1][1] for path in (source, target)}
    assert len(sound[target]) == len(sound[source])
    assert all(after[1] > before[1] for before, after in itertools.pairwise(sound[target]))


def test_sound_stays_in_step(tmp_path):
    """In each part, sound and frames begin as far apart as they did."""
    source, target = joined(tmp_path), tmp_path / "out.mp4"
    fastsr.upscale_video(source, target, **OPTIONS)
    alone = [packets(tmp_path / f"{n}.ts") for n in range(2)]
    lead = [Fraction(part[1][1][0][0] - min(p[0] for p in part[0][1]), 90000) for part in alone]
    with av.open(str(target)) as made:
        ticks = [stream.time_base for stream in made.streams]
    sound = [packet[0] * ticks[1] for packet in packets(target)[1][1]]
    begins = [sound[0], sound[len(alone[0][1][1])]]
    shown = [times(target)[0], times(target)[FRAMES]]
    for n in range(2):
        assert abs((begins[n] - shown[n]) - lead[n]) < Fraction(1, 24), n


def test_a_jump_ahead_is_closed(tmp_path):
    transport_stream(tmp_path / "a.ts")
    with av.open(str(tmp_path / "a.ts")) as given, av.open(str(tmp_path / "in.ts"), "w") as made:
        copies = {s.index: made.add_stream_from_template(s) for s in given.streams}
        for packet in given.demux():
            if packet.size:
                late = packet.dts * packet.time_base > Fraction(19, 10)
                shift = int(3600 / packet.time_base) if late else 0
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = copies[packet.stream_index]
                made.mux(packet)
    result = fastsr.upscale_video(tmp_path / "in.ts", tmp_path / "out.mp4", **OPTIONS)
    assert result.frames == FRAMES
    assert max(steps(tmp_path / "out.mp4")) < Fraction(1, 2)


def test_a_part_behind_a_break_is_found_by_its_time(tmp_path):
    source = joined(tmp_path)
    fastsr.upscale_video(source, tmp_path / "whole.mp4", **OPTIONS, lossless=True)
    fastsr.upscale_video(source, tmp_path / "part.mp4", **OPTIONS, lossless=True, start=1.0, end=1.4)
    whole = {n: frame.to_ndarray() for n, frame in enumerate(decoded(tmp_path / "whole.mp4"))}
    begin = times(tmp_path / "whole.mp4")[0]
    expected = [
        whole[n] for n, time in enumerate(times(tmp_path / "whole.mp4")) if 1 <= time - begin < Fraction(14, 10)
    ]
    made = [frame.to_ndarray() for frame in decoded(tmp_path / "part.mp4")]
    assert len(made) == len(expected) > 8
    assert all((a == b).all() for a, b in zip(made, expected, strict=True))


@pytest.mark.parametrize("stop", [8, 27])
def test_a_killed_run_is_resumed_across_a_break(tmp_path, stop):
    source = tmp_path / "in.ts"  # both parts show the same, so that frames cannot tell them apart
    transport_stream(tmp_path / "a.ts", options={"g": "5"})
    source.write_bytes(2 * (tmp_path / "a.ts").read_bytes())
    options = {**OPTIONS, "segment": 5}
    fastsr.upscale_video(source, tmp_path / "whole.mp4", **options)
    with pytest.raises(Kill):
        fastsr.upscale_video(source, tmp_path / "out.mp4", **options, progress=stop_after(stop + 1))
    assert fastsr.upscale_video(source, tmp_path / "out.mp4", **options).resumed > 0
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_times_that_go_back_elsewhere_are_said(tmp_path):
    """Matroska's times are not expected to restart; where they do, a warning counts the frames concerned."""
    source = video(tmp_path / "in.mkv", times=[0, 6400, 12800], options={"g": "1", "bf": "0"})
    with av.open(str(source)) as given, av.open(str(tmp_path / "back.mkv"), "w") as made:
        copy = made.add_stream_from_template(given.streams[0])
        for number, packet in enumerate(p for p in given.demux() if p.size):
            packet.pts = packet.dts = [0, 500, 500][number]
            packet.stream = copy
            made.mux(packet)
    with pytest.warns(RuntimeWarning, match=r"back\.mkv: the timestamps of 1 frames go back; they follow at once"):
        result = fastsr.upscale_video(tmp_path / "back.mkv", tmp_path / "out.mkv", **OPTIONS)
    assert result.frames == 3


# ---------------------------------------------------------------- without files


@dataclasses.dataclass
class Stream:
    type: str


@dataclasses.dataclass
class Packet:
    """What the timeline sees of one, in milliseconds."""

    stream_index: int
    dts: int | None
    duration: int
    stream: Stream
    pts: int | None = None
    time_base: Fraction = Fraction(1, 1000)


def placed(*given):
    """Decoding times after the timeline, of (stream, time) or (stream, time, duration)."""
    timestamps, made = ContinuousTimestamps(), []
    for index, at, *duration in given:
        packet = Packet(index, at, *(duration or [40]), Stream("subtitle" if index == 2 else "video"), at)
        timestamps.adjust(packet)
        assert packet.pts == packet.dts
        made.append(packet.dts)
    return made, timestamps.breaks


PLAIN = [(0, 0), (1, 10), (0, 40), (1, 50), (0, 80), (1, 90)]


def test_times_that_rise_stay():
    assert placed(*PLAIN) == ([0, 10, 40, 50, 80, 90], 0)
    assert placed((0, 0), (0, 9000), (0, 18000))[1] == 0  # one frame in nine seconds
    assert placed((0, 0), (0, 40), (0, -50), (0, 80)) == ([0, 40, -50, 80], 0)  # not in order, by less than 0.1 s


def test_all_streams_shift_by_the_same():
    later = [(0, -5000), (1, -4990), (0, -4960), (1, -4950)]
    assert placed(*PLAIN, *later) == ([0, 10, 40, 50, 80, 90, 130, 140, 170, 180], 1)


def test_a_stream_still_before_the_break_is_not_shifted():
    given = [*PLAIN, (0, -5000), (1, 130), (1, -4990), (0, -4960)]
    assert placed(*given) == ([0, 10, 40, 50, 80, 90, 130, 130, 140, 170], 1)


def test_a_stream_with_nothing_to_say_at_the_break_is_past_it_too():
    late = [(0, -5000 + 40 * n) for n in range(60)]
    made, breaks = placed((0, 4000), (2, 4000), (0, 4040), *late, (2, -2700))
    assert (made[-1] - made[3], breaks) == (2300, 1)


def test_a_single_wild_time_does_not_move_what_follows_by_much():
    made, _ = placed(*PLAIN, (0, 10**9), (0, 160), (1, 130), (0, 200), (1, 170))
    assert made[:6] == [0, 10, 40, 50, 80, 90]
    assert all(90 <= time <= 400 for time in made[6:])


def test_an_unknown_time_is_left_alone():
    packet = Packet(0, None, 40, Stream("video"))
    ContinuousTimestamps().adjust(packet)
    assert (packet.dts, packet.pts) == (None, None)
