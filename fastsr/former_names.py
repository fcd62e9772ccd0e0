"""Modules of earlier versions: their names still lead to what took their place, with a DeprecationWarning."""

from __future__ import annotations

import importlib
import importlib.machinery
import types
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    Loader = object  # importlib.abc takes longer to import than all of fastsr

_NETWORK = "fastsr.network."
_ENGINES = "fastsr.engines."
_VIDEO = "fastsr.video."

# Former module -> where its names are now, in this order.
MOVED: dict[str, tuple[str, ...]] = {
    "fastsr.alpha": ("fastsr.images.alpha",),
    "fastsr.batch": ("fastsr.cli.inputs",),
    "fastsr.catalog": (_NETWORK + "catalog",),
    "fastsr.cli": ("fastsr.cli.command",),
    "fastsr.cli_models": ("fastsr.cli.models",),
    "fastsr.cli_video": ("fastsr.cli.videos",),
    "fastsr.console": ("fastsr.cli.console",),
    "fastsr.cuda_arrays": ("fastsr.ops.cuda_arrays",),
    "fastsr.export": ("fastsr.cli.export",),
    "fastsr.exported": (_NETWORK + "exported_onnx", _NETWORK + "exported_onnx_reader"),
    "fastsr.folders": ("fastsr.cli.folders",),
    "fastsr.graph": (_NETWORK + "graph", _NETWORK + "onnx_reader", _NETWORK + "receptive_field"),
    "fastsr.interpolate": (_NETWORK + "weight_interpolation",),
    "fastsr.on_device": (_ENGINES + "gpu.tensors",),
    "fastsr.onnx_messages": (_NETWORK + "onnx_messages",),
    "fastsr.operator_shapes": (_NETWORK + "operator_shapes",),
    "fastsr.peel": (_NETWORK + "output_head",),
    "fastsr.qdq": (_NETWORK + "qdq",),
    "fastsr.quantized": (_NETWORK + "quantization",),
    "fastsr.resample": ("fastsr.images.resample",),
    "fastsr.typed": (_NETWORK + "strong_typing",),
    "fastsr.upscaler": ("fastsr.loading", "fastsr.output_size"),
    "fastsr.engines.base": tuple(_ENGINES + name for name in ("protocol", "registry", "selection", "precision_probe")),
    "fastsr.engines.cpu": (_ENGINES + "native.engine",),
    "fastsr.engines.cuda_device": (_ENGINES + "gpu.cuda_core",),
    "fastsr.engines.engine_builder": (_ENGINES + "tensorrt.builder",),
    "fastsr.engines.engine_cache": (_ENGINES + "tensorrt.cache",),
    "fastsr.engines.engine_file": (_ENGINES + "tensorrt.engine_file",),
    "fastsr.engines.exported_engine": (_ENGINES + "tensorrt.exported_engine",),
    "fastsr.engines.flavours": (_ENGINES + "tensorrt.distributions",),
    "fastsr.engines.frames": (_ENGINES + "gpu.frame_engine", _ENGINES + "gpu.device"),
    "fastsr.engines.gpus": (_ENGINES + "gpu.discovery",),
    "fastsr.engines.lowering": (_ENGINES + "native.lowering", _ENGINES + "native.program"),
    "fastsr.engines.onnx": (_ENGINES + "onnxruntime",),
    "fastsr.engines.switching": (_ENGINES + "background_build",),
    "fastsr.engines.tensorrt": (_ENGINES + "tensorrt.network",),
    "fastsr.engines.tensorrt_frames": (_ENGINES + "tensorrt.engine",),
    "fastsr.engines.tiled": (_ENGINES + "windowed", "fastsr.tiling.windows"),
    "fastsr.engines.torch": (_ENGINES + "torch.engine", _ENGINES + "torch.executor"),
    "fastsr.engines.torch_cuda": (_ENGINES + "torch.cuda",),
    "fastsr.video.codecs": (
        _VIDEO + "codecs.encoder_request",
        _VIDEO + "codecs.codec_table",
        _VIDEO + "codecs.containers",
        _VIDEO + "codecs.pixel_formats",
        _VIDEO + "codecs.encoder",
        "fastsr.video_formats",
    ),
    "fastsr.video.colors": (_VIDEO + "codecs.color_conversion", _VIDEO + "codecs.pixel_formats"),
    "fastsr.video.encoders": (_VIDEO + "codecs.encoder",),
    "fastsr.video.encoding": (_VIDEO + "outputs.segmented_encoder",),
    "fastsr.video.enlarging": (_VIDEO + "pipeline.upscale_stage",),
    "fastsr.video.frames": (_VIDEO + "frame", _VIDEO + "sources.time_range"),
    "fastsr.video.hdr": (_VIDEO + "codecs.hdr_metadata",),
    "fastsr.video.memory": (_VIDEO + "memory_shortage",),
    "fastsr.video.opening": (_VIDEO + "sources.input_spec",),
    "fastsr.video.pictures": (_VIDEO + "outputs.encoded_video", _VIDEO + "outputs.packet_timestamps"),
    "fastsr.video.pipeline": (_VIDEO + "pipeline.stages", _VIDEO + "pipeline.channel"),
    "fastsr.video.rates": (_VIDEO + "benchmark",),
    "fastsr.video.raw": (_VIDEO + "outputs.pipe_output", _VIDEO + "sources.pipe_input"),
    "fastsr.video.remux": (_VIDEO + "outputs.remux", _VIDEO + "outputs.copied_streams"),
    "fastsr.video.rotation": (_VIDEO + "outputs.display_matrix",),
    "fastsr.video.segments": (_VIDEO + "outputs.segment_store", _VIDEO + "outputs.segment_file"),
    "fastsr.video.sequence": (
        _VIDEO + "sources.image_sequence",
        _VIDEO + "outputs.image_sequence_writer",
        _VIDEO + "sources.numbered_files",
    ),
    "fastsr.video.side_data": (_VIDEO + "sources.side_data",),
    "fastsr.video.source": (_VIDEO + "sources.video_source", _VIDEO + "sources.stream_info"),
    "fastsr.video.timeline": (_VIDEO + "sources.timestamps", _VIDEO + "outputs.packet_timestamps"),
    "fastsr.video.upright": (_VIDEO + "sources.orientation",),
    "fastsr.video.upscale": (_VIDEO + "upscale_video", _VIDEO + "request", "fastsr.video_formats"),
    "fastsr.video.work": (_VIDEO + "pipeline.job", _VIDEO + "pipeline.progress", _VIDEO + "sources.frame_source"),
    "fastsr.video.work_folder": (_VIDEO + "outputs.work_folder",),
}

RENAMED = {
    "Busy": "StageTimes",
    "Chooser": "FrameSelector",
    "Cut": "TimeRange",
    "Encoded": "EncodedFrame",
    "Encoding": "EncoderConfig",
    "Enlarging": "UpscaleStage",
    "Hdr": "HdrMetadata",
    "Mark": "ResumePoint",
    "Opening": "InputSpec",
    "Picture": "DecodedImage",
    "Pictures": "EncodedVideo",
    "Rates": "StageRates",
    "Reader": "YuvToRgb",
    "Store": "SegmentStore",
    "Track": "StreamInfo",
    "Wish": "EncoderRequest",
    "Writer": "RgbToYuv",
    "CpuEngine": "NativeEngine",
    "Flavour": "Distribution",
    "Kind": "EngineSpec",
    "OnnxEngine": "OnnxRuntimeEngine",
    "Peeled": "HeadlessGraph",
    "SwitchingEngine": "UpgradingEngine",
    "TiledEngine": "WindowedEngine",
    "peel": "without_output_head",
    "typed": "strongly_typed",
}


def names_of(former: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module (PEP 562) for the names that a former module of its name had."""

    def attribute(name: str) -> Any:
        if not name.startswith("__"):
            for place in MOVED[former]:
                module = importlib.import_module(place)
                for current in (name, RENAMED.get(name, name)):
                    value = getattr(module, current, module)
                    if not isinstance(value, types.ModuleType):  # what it imports is not its own
                        warnings.warn(f"{former}.{name} is now {place}.{current}", DeprecationWarning, stacklevel=2)
                        return value
        raise AttributeError(f"module {former!r} has no attribute {name!r}")

    return attribute


def spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """How to import a former module; None for any other name."""
    return importlib.machinery.ModuleSpec(name, _Loader()) if name in MOVED else None


class _Loader(Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Let the import system make an empty module."""

    def exec_module(self, module: types.ModuleType) -> None:
        module.__getattr__ = names_of(module.__name__)  # type: ignore[method-assign]
