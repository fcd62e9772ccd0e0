"""PyTorch checkpoints: .pth, whose pickle says what is stored where, and .safetensors, whose header does."""

import functools
import io
import random
import struct
import zipfile
from pathlib import Path

import safetensors.torch
import torch

from fastsr.importing import checkpoint, torchvision_operators
from fuzz import byte_mutations, text_mutations
from fuzz.target import Target

PICKLES = (b"cos\nsystem\n(S'true'\ntR.", b"\x80\x04N.", b"}.", b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x01u.", b".", b"")


@functools.cache
def _seeds() -> list[bytes]:
    """Files, each behind a line with its suffix."""
    torchvision_operators.settle()
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.SPAN import SPAN

    torch.manual_seed(0)
    made = []
    span = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)
    for network in (Compact(num_feat=4, num_conv=1, upscale=2), span):
        state = network.state_dict()
        for saved in (state, {"params_ema": state, "step": 7}):
            file = io.BytesIO()
            torch.save(saved, file)
            made.append(b".pth\n" + file.getvalue())
        about = {"modelspec.license": "CC-BY-4.0"}
        made.append(b".safetensors\n" + safetensors.torch.save(state, about))
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=False)
    return [*made, b".pth\n" + file.getvalue()]


def _zipped(draw: random.Random, content: bytes) -> bytes:
    """The archive with one of its files changed: the pickle, mostly."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    pickle = next(name for name in files if name.endswith("data.pkl"))
    name = pickle if draw.random() < 0.8 else draw.choice(list(files))
    if name == pickle and draw.random() < 0.05:
        files[name] = draw.choice(PICKLES)
    elif draw.random() < 0.1:
        del files[name]
    elif files[name]:
        files[name] = byte_mutations.mutated(draw, files[name])
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def _header(draw: random.Random, content: bytes) -> bytes:
    """The header of a .safetensors file changed, and its length with it, mostly."""
    (size,) = struct.unpack_from("<Q", content)
    header = text_mutations.mutated(draw, content[8 : 8 + size])
    said = len(header) if draw.random() < 0.9 else draw.choice((0, 1, size, 2**31, 2**63, 2**64 - 1))
    return struct.pack("<Q", said) + header + content[8 + size :]


def make(draw: random.Random) -> bytes:
    """A file behind a line with its suffix."""
    suffix, _, content = draw.choice(_seeds()).partition(b"\n")
    kind = draw.random()
    if kind < 0.2:
        changed = byte_mutations.mutated(draw, content)
    elif suffix == b".safetensors":
        changed = _header(draw, content)
    elif content.startswith(b"PK"):
        changed = _zipped(draw, content)
    else:
        changed = byte_mutations.mutated(draw, content)
    return suffix + b"\n" + changed


def run(content: bytes, folder: Path) -> None:
    """Read the network of a file."""
    suffix, _, data = content.partition(b"\n")
    path = folder / f"model{suffix.decode()}"
    path.write_bytes(data)
    checkpoint.read(path)


TARGET = Target(make, run, megabytes=600)
