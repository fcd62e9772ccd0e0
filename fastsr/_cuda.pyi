from typing import Any

# Address, shape, name of the type, bytes per element.
Described = tuple[int, list[int], str, int]

class Queue:
    def __init__(self, device: int, stream: int) -> None: ...

class Walk:
    def __init__(self, max_rows: int = 65535, max_tiles: int = 65535, backward: bool = False) -> None: ...

def driver_version() -> int: ...
def runtime_version() -> int: ...
def devices() -> tuple[list[dict[str, Any]], str]: ...
def device_of(address: int) -> int: ...
def read_dlpack(capsule: object) -> dict[str, Any]: ...
def tile_gather(
    frame: Described, origins: list[int], batch: Described, channels_last: bool, where: Queue, /
) -> None: ...
def tile_scatter(
    batch: Described,
    windows: list[int],
    frame: Described,
    factor: int,
    residual: int,
    low: Described | None,
    channels_last: bool,
    where: Queue,
    /,
) -> None: ...
def pixel_shuffle(
    input: Described,
    output: Described,
    factor: int,
    channels_last: bool,
    bias: Described | None,
    slope: Described | None,
    where: Queue,
    /,
) -> None: ...
def emulate_tile_gather(
    frame: Described, origins: list[int], batch: Described, channels_last: bool, where: Walk, /
) -> None: ...
def emulate_tile_scatter(
    batch: Described,
    windows: list[int],
    frame: Described,
    factor: int,
    residual: int,
    low: Described | None,
    channels_last: bool,
    where: Walk,
    /,
) -> None: ...
def emulate_pixel_shuffle(
    input: Described,
    output: Described,
    factor: int,
    channels_last: bool,
    bias: Described | None,
    slope: Described | None,
    where: Walk,
    /,
) -> None: ...
