"""`upscale_video`: a video, image sequence or raw frames in, a larger one out."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable
from typing import Any

from fastsr.engines.protocol import Device, EngineName, Precision
from fastsr.loading import load
from fastsr.output_size import default_model
from fastsr.upscaler import Upscaler
from fastsr.video.arguments import checked_rate, checked_segment, checked_time_range
from fastsr.video.assembly import InterruptedCallback
from fastsr.video.codecs.encoder_request import EncoderRequest
from fastsr.video.memory_shortage import shortage_reported
from fastsr.video.outputs.segmented_encoder import SEGMENT
from fastsr.video.pipeline.progress import ProgressCallback, VideoResult
from fastsr.video.request import Input, UpscaleRequest
from fastsr.video.sources.pipe_input import checked_raw_size
from fastsr.video.sources.stream_info import StreamInfo

Model = str | os.PathLike[str] | Upscaler | Callable[[int, int], Upscaler] | None


def upscale_video(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    model: Model = None,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    engine: EngineName = "auto",
    tile: int | None = None,
    overlap: int | None = None,
    memory: int | str | None = None,
    realism: float | None = None,
    blend: float = 1,
    codec: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
    lossless: bool = False,
    start: float | None = None,
    end: float | None = None,
    fps_limit: float | None = None,
    deinterlace: bool = False,
    fps: float | None = None,
    raw_size: tuple[int, int] | None = None,
    raw: bool = False,
    preview: bool = False,
    segment: int = SEGMENT,
    realtime: bool = False,
    progress: ProgressCallback | None = None,
    interrupted: InterruptedCallback | None = None,
    cluster: str | None = None,
    any_device: bool = False,
) -> VideoResult:
    """Enlarge a video: `fastsr.upscale_video("in.mp4", "out.mp4")`.

    From file to file the main video stream is enlarged, all else is copied packet for packet, and the timestamps of
    frames stay as they are. A run that is killed leaves what is done in a hidden folder beside `dst`; the same call
    resumes it, with the same result.

    Args:
        src: a file; numbered images ("frames/%05d.png") or a folder of images; or "-", standard input. With `realtime`
            also a camera ("/dev/video0"), a named pipe, or an address ("rtsp://camera/stream").
        dst: a file, whose suffix (.mp4 .m4v .mov .mkv .webm) names the container; numbered images; or "-", standard
            output.
        model: a name, an ONNX file, a loaded `Upscaler`, or what gives one for a width and height; by default the
            shipped one that fits `scale` or `size`: up to 2 "fast-x2", above it "fast-x4".
        scale: factor along each axis; four where neither it nor `size` is given.
        size: width and height of the result in pixels, instead of `scale`.
        device: as for `load`, of a model that is named or chosen here, like the next six.
        precision: as for `load`, where it is for `video`: "auto" may be a faster one on some machines.
        engine: as for `load`.
        tile: as for `load`.
        overlap: as for `load`.
        memory: as for `load`.
        realism: as for `load`.
        blend: as for `load`.
        codec: "h264", "hevc", "av1", "vp9" or "prores".
        crf: constant quality, as the codec has it; smaller is better.
        preset: speed against size, as the encoder has it.
        pix_fmt: such as "yuv420p10le"; by default subsampling and depth (8 or 10 bits) are the source's.
        lossless: encode without loss.
        start: leave out what is before, in seconds from the first frame.
        end: leave out what is from there on.
        fps_limit: frames a second at most.
        deinterlace: make whole frames of interlaced ones, which are refused otherwise.
        fps: frames a second of image sequences and rgb24, 25 if not given; or what a camera is asked for.
        raw_size: standard input is rgb24 of this width and height, not y4m; or what a camera is asked for.
        raw: standard output is rgb24, not y4m.
        preview: show bicubic | ours, as a clip of 5 seconds (or up to `end`), or, where `dst` is a .png, as a strip of
            moments.
        segment: about how many frames a kill may cost.
        realtime: make each frame within the time that it is shown, as `Upscaler.stream` does with a deadline; where a
            source does not wait and the reader does not keep up, frames are left out. For `dst` "-" alone.
        progress: called after every frame with how far the video is, in the calling thread.
        interrupted: where KeyboardInterrupt (Ctrl-C) stops the work on a file, a playable file of what is done is made
            beside it, as "out.part.mp4", before that is raised on; this is called before with its path and how many
            seconds of video it will hold. The finished video replaces it. None: no such file is made.
        cluster: the address of a Ray cluster's head, as "host:6379", or "auto": the one that runs here or that
            RAY_ADDRESS names. Its workers make segments of a file for a file, to the same bytes as one machine;
            `progress` is then called after every segment, and the model, if it is loaded, must be of `fastsr.load`.
        any_device: let a cluster use GPUs too, and models that make other bytes on other processors.

    Returns:
        How many frames were made, how many of them equalled the one before or came from an earlier run, how many
        packets were damaged, and how many seconds each stage worked.

    Raises:
        ClusterError: the cluster cannot be reached, or has no worker that makes the same frames as this machine.
        VideoError: the video cannot be read or made; the message names the file, and the stage and frame where there is
            one.
        FastsrError: arguments that cannot be, or a model that cannot be loaded.

    Warns:
        RuntimeWarning: something is damaged in the input, or cannot be kept.

    """
    request = UpscaleRequest(
        given=Input(
            name=os.fspath(src),
            deinterlace=deinterlace,
            rate=checked_rate(fps),
            raw_size=checked_raw_size(raw_size),
            realtime=realtime,
            asked_rate=None if fps is None else checked_rate(fps),
        ),
        output=os.fspath(dst),
        time_range=checked_time_range(start, end, fps_limit),
        scale=scale,
        size=size,
        encoder=EncoderRequest(codec, crf, preset, pix_fmt, lossless),
        raw=raw,
        preview=preview,
        segment=checked_segment(segment),
        progress=progress,
        realtime=realtime,
        interrupted=interrupted,
    )
    request.check()
    elsewhere = None
    if cluster is not None:
        from fastsr.cluster.image_job import ClusterChoice
        from fastsr.video.cluster_segments import ClusterSegments

        request.check_elsewhere()
        elsewhere = ClusterSegments(ClusterChoice(cluster, any_device, _warn))
        device = "auto" if any_device else "cpu"
    with shortage_reported(request.given.name), contextlib.closing(request.open_source()) as source:
        options: dict[str, Any] = {"device": device, "precision": precision, "engine": engine, "realism": realism}
        options |= {"blend": blend, "tile": tile, "overlap": overlap, "memory": memory}
        return request.make(source, chosen_model(model, source.info, scale, size, **options), elsewhere)


def chosen_model(
    model: Model, info: StreamInfo, scale: float | None, size: tuple[int, int] | None, **options: Any
) -> Upscaler:
    """The upscaler that was handed in; or the named model, or the shipped one that fits, loaded with `options`."""
    if isinstance(model, Upscaler):
        return model
    if model is None:
        model = default_model(info.width, info.height, scale, size, video=True)
    if callable(model):
        return model(info.width, info.height)
    return load(model, **options, video=True)


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)
