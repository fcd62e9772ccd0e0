"""A GPU made of NumPy: what is queued runs late, in any order that its events allow, and memory is counted."""

import random
import weakref

import numpy as np
import onnxruntime

from fastsr import ops


class OutOfMemory(Exception):
    pass


class Event:
    def __init__(self):
        self.happened = False


class Stream:
    def __init__(self):
        self.queue, self.recording = [], None

    def add(self, ready, work):
        (self.queue if self.recording is None else self.recording).append((ready, work))


class FakeDevice:
    index = 0

    def __init__(self, seed=0, memory=1 << 30):
        self.random = random.Random(seed)
        self.memory, self.used, self.peak = memory, 0, 0
        self.streams, self.captured, self.launched = [], 0, 0

    def _allocate(self, shape, dtype):
        block = np.full(int(np.prod(shape)) * np.dtype(dtype).itemsize, 0xA5, np.uint8)  # never zeros by luck
        return block, block.view(dtype).reshape(shape)

    def empty(self, shape, dtype):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if self.used + size > self.memory:
            raise OutOfMemory(f"{size} bytes")
        block, array = self._allocate(shape, dtype)
        self.used += size
        self.peak = max(self.peak, self.used)
        weakref.finalize(block, self._freed, size)
        return array

    def _freed(self, size):
        self.used -= size

    def pinned(self, shape, dtype):
        return self._allocate(shape, dtype)[1]

    def stream(self):
        self.streams.append(Stream())
        return self.streams[-1]

    def copy(self, target, source, stream):
        assert target.shape == source.shape
        assert target.dtype == source.dtype
        stream.add(lambda: True, lambda: np.copyto(target, source))

    def record(self, stream):
        event = Event()
        stream.add(lambda: True, lambda: setattr(event, "happened", True))
        return event

    def wait(self, stream, event):
        stream.add(lambda: event.happened, lambda: None)

    def sync(self, event):
        while not event.happened:
            ready = [s for s in self.streams if s.queue and s.queue[0][0]()]
            assert ready, "every stream waits: a deadlock"
            self.random.choice(ready).queue.pop(0)[1]()

    def capture(self, work, stream):
        assert stream.recording is None
        stream.recording = []
        try:
            work()
        finally:
            recorded, stream.recording = stream.recording, None
        self.captured += 1

        def launch():
            self.launched += 1
            stream.queue.extend(recorded)

        return launch

    def free_memory(self):
        return self.memory - self.used

    def is_out_of_memory(self, error):
        return isinstance(error, OutOfMemory)

    def release(self):
        pass


class FakeOps:
    """`fastsr.ops` as it is on a device: queued on a stream."""

    @staticmethod
    def tile_gather(frame, origins, tile, dtype, layout, out, stream):
        assert out.dtype == dtype
        starts = np.array(origins)

        def work():
            batch = ops.tile_gather(frame, starts, tile, dtype)
            out[...] = batch if layout == "NCHW" else batch.transpose(0, 2, 3, 1)

        stream.add(lambda: True, work)

    @staticmethod
    def tile_scatter(batch, windows, frame, factor, residual, low, layout, stream):
        places = np.array(windows)

        def work():
            planar = batch if layout == "NCHW" else np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
            ops.tile_scatter(planar, places, frame, factor, residual, low)

        stream.add(lambda: True, work)


class FakeNetwork:
    """A body on ONNX Runtime; its buffers are the device's, and its output lies elsewhere after each `prepare`."""

    def __init__(self, body, device, layout="NCHW", limits=(8, 4096, 4096)):
        self.dtype, self.layout, self.limits = np.float32, layout, limits
        self.body, self.device, self.shapes = body, device, []
        self.session = onnxruntime.InferenceSession(body.serialized, providers=["CPUExecutionProvider"])

    def need(self, batch, height, width):
        deep = self.body.channels * self.body.scale**2
        return 4 * batch * height * width * (self.body.channels + 4 * deep)

    def prepare(self, batch, height, width):
        assert all(side <= limit for side, limit in zip((batch, height, width), self.limits, strict=True))
        self.shapes.append((batch, height, width))
        return FakePrepared(self, batch, height, width)


class FakePrepared:
    def __init__(self, network, batch, height, width):
        self.network = network
        device, channels, scale = network.device, network.body.channels, network.body.scale
        planar = (batch, channels, height, width)
        deep = network.session.run(None, {network.body.input: np.zeros((1, channels, height, width), np.float32)})
        made = (batch, deep[0].shape[1], height * scale, width * scale)
        if network.layout == "NHWC":
            planar, made = ((s[0], s[2], s[3], s[1]) for s in (planar, made))
        self.x, self.y = device.empty(planar, np.float32), device.empty(made, np.float32)

    def run(self, stream):
        def work():
            x = self.x if self.network.layout == "NCHW" else self.x.transpose(0, 3, 1, 2)
            (y,) = self.network.session.run(None, {self.network.body.input: np.ascontiguousarray(x)})
            self.y[...] = y if self.network.layout == "NCHW" else y.transpose(0, 2, 3, 1)

        stream.add(lambda: True, work)
        return self.y
