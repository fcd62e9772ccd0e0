"""The connection to a Ray cluster: found or named, with everything that is missing told in our words."""

from __future__ import annotations

import dataclasses
import logging
import socket
from types import TracebackType

from fastsr.cluster.ray_import import exceptions, ray
from fastsr.errors import ClusterError

_ANSWER = 10.0  # seconds in which a head answers
AUTO = "auto"  # the cluster that RAY_ADDRESS names, else the one that runs on this machine


@dataclasses.dataclass(frozen=True)
class Node:
    """A machine of the cluster: Ray's id and name of it, and how many processors and GPUs Ray may use there."""

    id: str
    name: str
    cpus: int
    gpus: int


class Connection:
    """What makes this process a driver of a cluster, until it is closed; what it started there ends with it."""

    def __init__(self, address: str) -> None:
        """`address`: host:port of a cluster's head, or AUTO. Raises ClusterError where there is none."""
        self._ours = not ray.is_initialized()
        if not self._ours:
            return
        if address != AUTO:
            _check_reachable(address)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError, exceptions.RayError) as error:
            ray.shutdown()
            raise ClusterError(_why(address, error)) from error

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster, which goes on; where the caller had joined it before, stay."""
        if self._ours:
            ray.shutdown()

    def nodes(self) -> list[Node]:
        """The machines that are up. Raises ClusterError when the cluster does not answer any more."""
        try:
            found = ray.nodes()
        except (exceptions.RayError, RuntimeError, ConnectionError) as error:
            raise ClusterError(
                f"the cluster does not answer any more ({_first_line(error)}); start it again"
            ) from error
        return [_node(told) for told in found if told["Alive"]]


def _check_reachable(address: str) -> None:
    """Raise ClusterError for what is no address, and where nobody answers: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ClusterError(f"{address}: is not the address of a Ray cluster; write it as HOST:6379, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
    except OSError as error:
        raise ClusterError(f"{address}: nobody answers ({error}); check the address of the cluster's head") from error


def _node(told: dict[str, object]) -> Node:
    resources = told["Resources"]
    assert isinstance(resources, dict)
    return Node(
        id=str(told["NodeID"]),
        name=str(told["NodeManagerHostname"]),
        cpus=int(resources.get("CPU", 0)),
        gpus=int(resources.get("GPU", 0)),
    )


def _why(address: str, error: Exception) -> str:
    text = _first_line(error)
    if address == AUTO and isinstance(error, ConnectionError):
        return "no Ray cluster is running here; start one with: ray start --head, or name one: --cluster HOST:6379"
    where = "the Ray cluster" if address == AUTO else f"{address}: the Ray cluster there"
    if "oken" in text:
        return f"{where} wants a token ({text}); copy ~/.ray/auth_token from its head to this machine"
    return f"{where} cannot be joined ({text}); check its address, and that it runs the same Ray and Python as this"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
