"""When frames are decoded, how long they are shown, and that timestamps increase."""

import dataclasses
import itertools
import random

import pytest

pytest.importorskip("av")

from fastsr.video.outputs.packet_timestamps import IncreasingTimestamps, decode_times, durations


@dataclasses.dataclass
class Packet:
    """What is moved of one."""

    stream_index: int
    dts: int | None
    pts: int | None


def test_decode_times():
    assert decode_times([0, 10, 20, 30]) == [0, 10, 20, 30]
    assert decode_times([0, 40, 20, 10, 30, 50]) == [-20, -10, 0, 10, 20, 30]
    for seed in range(200):
        drawn = random.Random(seed)
        times = sorted(drawn.sample(range(1000), 30))
        order = []
        while times:  # groups of reordered frames, as encoders make them
            group = [times.pop(0) for _ in range(min(len(times), drawn.randint(1, 5)))]
            drawn.shuffle(group)
            order += group
        made = decode_times(order)
        assert all(decoded_at <= shown_at for decoded_at, shown_at in zip(made, order, strict=True))
        assert all(a < b for a, b in itertools.pairwise(made))


def test_durations():
    assert durations([0, 40, 10], 7) == {0: 10, 10: 30, 40: 7}
    assert durations([0, 10], 0) == {0: 10, 10: 10}
    assert durations([3], 0) == {3: 1}


def test_rising():
    increasing, made = IncreasingTimestamps(), []
    for at in (0, 20, 15, 18, 40):
        packet = Packet(1, at, at)
        increasing.adjust(packet)
        made.append((packet.dts, packet.pts))
    assert made == [(0, 0), (20, 20), (21, 21), (22, 22), (40, 40)]
