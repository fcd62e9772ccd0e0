"""Small videos made on the spot, and what is in a video."""

import hashlib
import io
import struct
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

WIDTH, HEIGHT = 48, 32
TICKS = Fraction(1, 12800)
RATE = 25
CHAPTERS = [
    {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}},
    {"id": 2, "start": 200, "end": 480, "time_base": Fraction(1, 1000), "metadata": {"title": "two"}},
]
QUARTER_TURN = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)


def frame_pixels(number, width=WIDTH, height=HEIGHT, dtype=np.uint8):
    """Smooth waves that differ from those of all other numbers."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / width * (3 + c) + number / 4 + c) + np.cos(y / height * (4 - c) + number / 9) for c in range(3)]
    values = 0.5 + 0.15 * np.stack(waves, axis=2)
    return (values * np.iinfo(dtype).max).astype(dtype)


def smooth_frame(number, width, height):
    """Colours that change slowly enough for halved chroma."""
    return frame_pixels(number, width * 3, height * 3)[:height, :width]


def constant(count, step=512, start=0):
    return [start + i * step for i in range(count)]


def video(
    path,
    frames=12,
    times=None,
    codec="libx264",
    pix_fmt="yuv420p",
    ticks=TICKS,
    options=None,
    size=(WIDTH, HEIGHT),
    pixels=frame_pixels,
    colors=None,
    aspect=None,
    sound=False,
    more=None,
    interlaced=False,
    format=None,
    metadata=None,
    chapters=(),
):
    """Write a video; `times` in ticks; `more(container)` adds streams and gives what writes their packets."""
    times = constant(frames) if times is None else times
    is_mp4 = str(path).endswith((".mp4", ".mov"))
    container_options = {"movie_timescale": str(ticks.denominator)} if is_mp4 else {}
    file = str(path) if not isinstance(path, io.BytesIO) else path
    with av.open(file, "w", format=format, container_options=container_options) as made:
        stream = made.add_stream(codec, rate=RATE, options=dict(options or {}))
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.time_base = stream.codec_context.time_base = ticks
        if colors is not None:
            context = stream.codec_context
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = colors
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        made.metadata.update(metadata or {})
        audio = None
        if sound:
            audio = made.add_stream("aac", rate=8000, layout="mono")
            audio.time_base = Fraction(1, 8000)
        write_more = more(made) if more else None
        if chapters:
            made.set_chapters(list(chapters))
        for number, pts in enumerate(times):
            given = pixels(number, *size)
            frame = VideoFrame.from_ndarray(given, format="rgb24" if given.dtype == np.uint8 else "rgb48le")
            frame = frame.reformat(format=pix_fmt)
            if interlaced:
                frame = _interlaced(frame)
            frame.pts, frame.time_base = pts, ticks
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
        if audio is not None:
            _sound(made, audio, max(times) * ticks + Fraction(1, RATE))
        if write_more:
            write_more()
    return path


def _interlaced(frame):
    """The same frame through a filter that calls it interlaced."""
    graph = av.filter.Graph()
    buffer = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TICKS)
    graph.link_nodes(buffer, graph.add("setfield", "tff"), graph.add("buffersink"))
    graph.configure()
    graph.vpush(frame)
    return graph.vpull()


def _sound(made, stream, seconds):
    samples = np.sin(np.arange(int(seconds * 8000)) / 9).astype(np.float32) * 0.3
    frame = AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
    for packet in stream.encode(frame) + stream.encode(None):
        made.mux(packet)


def packets(path):
    """Stream index -> (type, [(pts, dts, duration, key, hash)])."""
    found = {}
    with av.open(str(path)) as given:
        for stream in given.streams:
            found[stream.index] = (stream.type, [])
        for packet in given.demux([s for s in given.streams if s.type != "attachment"]):
            if packet.size:
                digest = hashlib.sha256(bytes(packet)).hexdigest()
                entry = (packet.pts, packet.dts, packet.duration, packet.is_keyframe, digest)
                found[packet.stream_index][1].append(entry)
    return found


def shown(path, stream=0):
    """[(seconds, duration in seconds)] of every decoded frame."""
    with av.open(str(path)) as given:
        video_stream = given.streams.video[stream]
        return [(f.pts * f.time_base, (f.duration or 0) * f.time_base) for f in given.decode(video_stream)]


def decoded(path, stream=0):
    """Decoded frames."""
    with av.open(str(path)) as given:
        return list(given.decode(given.streams.video[stream]))


def planes(frame):
    """The samples of every plane as integers."""
    made = []
    for component, plane in zip(frame.format.components, frame.planes, strict=False):
        dtype = np.uint8 if component.bits <= 8 else np.uint16
        rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
        made.append(rows[:, : plane.width].astype(int))
    return made


def subtitles_and_attachment(made):
    """Streams for `more` of `video`."""
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


def with_display_matrix(path, matrix=QUARTER_TURN):
    """Write a display matrix into the track header of an MP4."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    content[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)
    return path
