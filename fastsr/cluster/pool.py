"""Workers on all machines of a cluster, and the pieces of work that they are given; what dies is made up for."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from fastsr.cluster.connection import Connection, Node
from fastsr.cluster.ray_import import NodeAffinitySchedulingStrategy, exceptions, ray
from fastsr.cluster.sameness import Installation, installation
from fastsr.cluster.worker import Done, Greeting, Place, Work, Worker
from fastsr.errors import ClusterError, FastsrError

MOST_DEATHS = 3  # of workers, by one piece of work
_BATCH, _BATCH_BYTES = 16, 64 << 10  # pieces that are given together, and how large they may be in all
_SHIPPED_AT_ONCE = 256 << 20  # bytes of inputs on their way to workers, beyond which no more are sent
_LOOK_AGAIN = 2.0  # seconds between two looks at which machines there are
_PAUSE = 0.2  # seconds between two looks for workers where there is none
_BUSY, _NO_WORKER = 20.0, 60.0  # seconds without a worker, after which that is told, and after which there is no hope


class Task(Protocol):
    """Something to be made, as the driver knows it."""

    deaths: int
    """Workers that have died while they made it."""

    @property
    def name(self) -> str:
        """As messages call it."""
        ...

    @property
    def size(self) -> int:
        """About how many bytes it reads; small ones are handed out together."""
        ...

    def work(self, node: str) -> tuple[Work, int]:
        """The work for a worker on a node, and how many bytes travel with it. What it raises is its result."""
        ...

    def settled(self, done: Done, node: str) -> Done | None:
        """What a worker has done, brought to its place; None where the work is to be handed out again."""
        ...

    def after_death(self) -> Done | None:
        """What was done nevertheless by a worker that died before it could say so; None = nothing."""
        ...


TaskT = TypeVar("TaskT", bound=Task)


@dataclasses.dataclass(frozen=True)
class Size:
    """How large workers are.

    Attributes:
        cpus: processors of each, at most as many as a machine has.
        ahead: how much each is given beyond what it works on.

    """

    cpus: int
    ahead: int


@dataclasses.dataclass(eq=False)
class _Member(Generic[TaskT]):
    """A worker, or one that is being started, and what it was given, in order."""

    actor: Any
    node: Node
    place: Place
    greeting: Any  # Ray's reference to it
    name: str = ""
    ready: bool = False
    given: collections.deque[_Given[TaskT]] = dataclasses.field(default_factory=collections.deque)


@dataclasses.dataclass(frozen=True, eq=False)
class _Given(Generic[TaskT]):
    """Tasks that were handed out together: Ray's reference to what comes back, and the bytes that went with them."""

    answer: Any
    tasks: list[TaskT]
    shipped: int


class Pool(Generic[TaskT]):
    """Workers of one job; to be closed after use, with which they end."""

    def __init__(
        self,
        connection: Connection,
        size: Size,
        contents: dict[str, bytes],
        *,
        video: bool = False,
        any_device: bool = False,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Workers are started by `run`.

        Args:
            connection: to the cluster.
            size: of the workers.
            contents: SHA-256 of a file -> what it holds, for workers that lack it.
            video: whether PyAV counts among what must be the same everywhere.
            any_device: whether results may differ; workers then take GPUs where there are some.
            say: told what the user should know.

        """
        self._connection, self._size, self._any_device = connection, size, any_device
        self._video, self._say = video, say
        self._here: Installation = installation()
        self._contents = {digest: ray.put(content) for digest, content in contents.items()}
        self._actor_class = ray.remote(Worker)
        self._members: list[_Member[TaskT]] = []
        self._known: set[str] = set()  # nodes that were given workers, or refused
        self._failures: collections.Counter[str] = collections.Counter()  # to start a worker in a row, by node
        self._last_failure = ""
        self._suspects: set[int] = set()  # tasks that are to be handed out alone, by id
        self._looked = -_LOOK_AGAIN
        self._without = time.monotonic()  # since when there is no worker that is ready
        self._told_busy = self._worked = False

    def __enter__(self) -> Pool[TaskT]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        for member in self._members:
            ray.kill(member.actor)
        self._members = []

    @property
    def workers(self) -> int:
        """How many are ready."""
        return sum(member.ready for member in self._members)

    def run(self, tasks: Iterable[TaskT]) -> Iterator[tuple[TaskT, Done, str]]:
        """Have all tasks done; gives each with what came of it and the worker's name, as they are done.

        Raises ClusterError where no worker is left, or one would make other results than this machine.
        """
        waiting = collections.deque(tasks)
        while waiting or any(member.given for member in self._members):
            self._look_at_nodes()
            yield from self._hand_out(waiting)
            awaited = [member.greeting for member in self._members if not member.ready]
            awaited += [given.answer for member in self._members for given in member.given]
            if awaited:
                yield from self._take(_ready(awaited), waiting)
            elif waiting:
                time.sleep(_PAUSE)
            self._check_hope()

    def _look_at_nodes(self) -> None:
        """Start workers on machines that have come."""
        if time.monotonic() - self._looked < _LOOK_AGAIN:
            return
        self._looked = time.monotonic()
        for node in self._connection.nodes():
            if node.id not in self._known and node.cpus >= 1:
                self._known.add(node.id)
                for place in self._places(node):
                    self._start(node, place)

    def _places(self, node: Node) -> list[Place]:
        """The workers that a machine has room for."""
        cpus = min(self._size.cpus, node.cpus)
        count = node.cpus // cpus
        gpus = min(node.gpus, count) if self._any_device else 0
        return [Place(cpus, 1 / count, number < gpus) for number in range(count)]

    def _start(self, node: Node, place: Place) -> None:
        strategy = NodeAffinitySchedulingStrategy(node.id, soft=False)
        options = {"num_cpus": place.threads, "num_gpus": int(place.gpu), "max_restarts": 0, "max_task_retries": 0}
        actor = self._actor_class.options(scheduling_strategy=strategy, **options).remote(place, self._contents)
        self._members.append(_Member(actor, node, place, actor.greet.remote()))

    def _hand_out(self, waiting: collections.deque[TaskT]) -> Iterator[tuple[TaskT, Done, str]]:
        """Give idle workers tasks; gives those that cannot be handed out, with the reason."""
        ready = [member for member in self._members if member.ready]
        shipped = sum(given.shipped for member in ready for given in member.given)
        ahead = self._size.ahead if len(waiting) >= len(ready) else 0  # else the last ones would wait for busy workers
        for depth in range(1 + ahead):
            for member in ready:
                if len(member.given) > depth:
                    continue
                if not waiting or shipped > _SHIPPED_AT_ONCE:
                    return
                tasks, pieces, weight = [], [], 0
                for task in self._batch(waiting):
                    try:
                        piece, size = task.work(member.node.id)
                    except Exception as error:  # whatever is wrong with one, the others are done
                        yield task, _failed(error), ""
                        continue
                    tasks.append(task)
                    pieces.append(piece)
                    weight += size
                if tasks:
                    member.given.append(_Given(member.actor.do.remote(pieces), tasks, weight))
                    shipped += weight

    def _batch(self, waiting: collections.deque[TaskT]) -> list[TaskT]:
        """The next task; several where they are so small that handing them out would take longer than doing them."""
        most = min(_BATCH, 1 + len(waiting) // (2 * self.workers))  # all workers shall have something to do
        tasks = [waiting.popleft()]
        total = tasks[0].size
        while waiting and len(tasks) < most and id(tasks[0]) not in self._suspects:
            total += waiting[0].size
            if total > _BATCH_BYTES or id(waiting[0]) in self._suspects:
                break
            tasks.append(waiting.popleft())
        return tasks

    def _take(self, ready: set[Any], waiting: collections.deque[TaskT]) -> Iterator[tuple[TaskT, Done, str]]:
        for member in list(self._members):
            if not member.ready and member.greeting in ready:
                self._welcome(member)
            while member.given and member.given[0].answer in ready:
                given = member.given.popleft()
                try:
                    answers: list[Done] = ray.get(given.answer)
                except exceptions.RayTaskError as error:  # of Ray's making: what work raises comes back as an answer
                    answers = [_failed(RuntimeError(str(error)))] * len(given.tasks)
                except exceptions.ObjectLostError:  # the machine died after the work was done
                    yield from self._again(given.tasks, waiting, member.name)
                    continue
                except exceptions.RayError as error:
                    yield from self._bury(member, given, error, waiting)
                    break
                self._worked = True
                for task, answer in zip(given.tasks, answers, strict=True):
                    done = task.settled(answer, member.node.id)
                    if done is None:
                        waiting.appendleft(task)
                    else:
                        yield task, done, member.name

    def _welcome(self, member: _Member[TaskT]) -> None:
        """Let a worker that has started take part, unless it would make other results."""
        try:
            greeting: Greeting = ray.get(member.greeting)
        except exceptions.RayError as error:
            self._remove(member)
            self._failed_to_start(member, error)
            return
        self._failures[member.node.id] = 0
        differences = self._here.differences(greeting.installation, self._video)
        if self._any_device:
            differences = [text for text in differences if text.startswith("fastsr ")]
        if not differences:
            member.name, member.ready = f"{greeting.host}/{greeting.pid}", True
            return
        text = f"{greeting.host}: would make other results ({'; '.join(differences)}); install the same versions there"
        self._remove(member)
        if not self._worked:
            raise ClusterError(text)
        self._say(text)

    def _failed_to_start(self, member: _Member[TaskT], error: Exception) -> None:
        self._last_failure = f"{member.node.name}: {_reason(error)}"
        self._failures[member.node.id] += 1
        if "No module named" in str(error):
            name = "fastsr" if "'fastsr" in str(error) else "a package that fastsr needs"
            raise ClusterError(f"{member.node.name}: {name} is not installed there; pip install 'fastsr[cluster]'")
        if self._failures[member.node.id] < MOST_DEATHS and self._is_up(member.node):
            self._start(member.node, member.place)

    def _bury(
        self, member: _Member[TaskT], given: _Given[TaskT], error: Exception, waiting: collections.deque[TaskT]
    ) -> Iterator[tuple[TaskT, Done, str]]:
        """Make up for a worker that died while it did what it was `given`."""
        not_begun = [task for later in member.given for task in later.tasks]
        waiting.extendleft(reversed(not_begun))
        self._remove(member)
        if self._is_up(member.node):
            self._start(member.node, member.place)
        self._suspects.update(map(id, given.tasks))
        poisoned = given.tasks[0] if len(given.tasks) == 1 else None
        if poisoned is not None:
            poisoned.deaths += 1
            if poisoned.deaths >= MOST_DEATHS:
                text = (
                    f"{MOST_DEATHS} workers died while they made it ({_reason(error)}); it may be damaged, or need more"
                )
                done = poisoned.after_death() or _failed(FastsrError(f"{poisoned.name}: {text} memory than they have"))
                yield poisoned, done, member.name
                return
        yield from self._again(given.tasks, waiting, member.name)

    def _again(
        self, tasks: list[TaskT], waiting: collections.deque[TaskT], name: str
    ) -> Iterator[tuple[TaskT, Done, str]]:
        """Hand tasks out again, but for those that were done before the worker of this name was lost."""
        for task in reversed(tasks):
            done = task.after_death()
            if done is None:
                waiting.appendleft(task)
            else:
                yield task, done, name

    def _remove(self, member: _Member[TaskT]) -> None:
        self._members.remove(member)
        ray.kill(member.actor)
        if not any(other.ready for other in self._members):
            self._without = time.monotonic()

    def _is_up(self, node: Node) -> bool:
        return any(there.id == node.id for there in self._connection.nodes())

    def _check_hope(self) -> None:
        """Raise ClusterError where no worker will come; say so once where they have to wait."""
        if any(member.ready for member in self._members):
            return
        passed = time.monotonic() - self._without
        if not self._members and passed > _NO_WORKER:
            why = f" ({self._last_failure})" if self._last_failure else ""
            raise ClusterError(f"the cluster has no worker{why}; check its machines with: ray status")
        if passed > _BUSY and not self._told_busy:
            self._told_busy = True
            self._say("waiting for processors of the cluster, which is busy or still starting; ray status tells more")


def _ready(awaited: list[Any]) -> set[Any]:
    """Ray's references that are ready, after a wait of a second at most for the first."""
    ready, _ = ray.wait(awaited, num_returns=1, timeout=1.0, fetch_local=False)
    if ready and len(awaited) > 1:
        ready, _ = ray.wait(awaited, num_returns=len(awaited), timeout=0, fetch_local=False)
    return set(ready)


def _failed(error: BaseException) -> Done:
    cause = error if isinstance(error, OSError) else error.__cause__
    return Done(None, error, cause.errno if isinstance(cause, OSError) else None, [], 0.0)


def _reason(error: Exception) -> str:
    """The line of Ray's message that says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Error:" in line or "died" in line or "killed" in line]
    return (told or lines or [type(error).__name__])[-1 if told and "Error:" in told[-1] else 0]
