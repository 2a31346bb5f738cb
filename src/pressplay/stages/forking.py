"""`python -m pressplay.stages.forking`: starts stages by forking instead of by loading.

To load the interpreter and our imports takes ten times as long as what most stages do. This
process loads them once, holds no secret, and forks for each stage; the child steps into the
sandbox that was built for it, gives up its rights, and only there becomes what it was told to be.

What it is told (see pods.warm): one byte on its standard input, which is a socket, with five
descriptors: the order as JSON, where to report, the door of the sandbox, the log, and what one
byte comes from when the stage may begin. Forks that wait for an order are there before it comes,
since to make one takes as long as what it does then.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pressplay.api import policy
from pressplay.base import memory, namespaces
from pressplay.base.errors import PressplayError
from pressplay.evidence import shapes
from pressplay.stages import __main__ as stages
from pressplay.stages import rehearsing

DESCRIPTORS = 5
WAITING = 2
"""Forks that wait for an order: steps beside each other often start at the same moment."""

_ALSO = (
    "pressplay.base.yaml_documents",
    "cryptography.hazmat.primitives.asymmetric.padding",
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "cryptography.hazmat.primitives.serialization",
    "httpcore2",
    "jsonschema_rs",
    "encodings.idna",
)
"""What stages, and the libraries below them, import only when they need it."""
_BUG = 70


@dataclass(frozen=True)
class Order:
    """One stage to run. `monitor` is the process whose only child is the sandbox's first."""

    arguments: tuple[str, ...]
    variables: dict[str, str]
    working_dir: str
    monitor: int

    @classmethod
    def read(cls, descriptor: int) -> Order:
        """Read it whole; it is memory, and larger than a message may be."""
        with os.fdopen(descriptor, "rb") as reader:
            given: dict[str, Any] = json.load(reader)
        return cls(**given | {"arguments": tuple(given["arguments"])})


def main() -> None:
    """Serve until the other side goes away."""
    for spec in stages.STAGES.values():
        importlib.import_module(spec.partition(":")[0])
    for name in _ALSO:
        importlib.import_module(name)
    policy.schema()
    for name in shapes.NAMES:
        shapes.schema(name)
    try:
        rehearsing.rehearse()
    except (PressplayError, OSError) as error:
        # A machine where this cannot be done has slower forks, and no other harm.
        sys.stderr.write(f"Stages begin slower, for they could not be rehearsed: {error}\n")
    gc.collect()
    # A collection in a child would touch, and so copy, all that it shares with us.
    gc.freeze()
    memory.collapse()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=0) as orders:
        orders.send(b"!")
        _keep_waiting(orders)


def _keep_waiting(orders: socket.socket) -> None:
    """Replace each fork that took an order, until nobody is left to give one."""
    poll = select.poll()
    # Without a flag: what is told is only that the other side went away.
    poll.register(orders, 0)
    waiting: set[int] = set()
    while True:
        while len(waiting) < WAITING:
            started = _fork(orders)
            poll.register(started, 0)
            waiting.add(started)
        gone = {descriptor for descriptor, _ in poll.poll()}
        if orders.fileno() in gone:
            return
        for descriptor in gone:
            poll.unregister(descriptor)
            waiting.remove(descriptor)
            os.close(descriptor)


def _fork(orders: socket.socket) -> int:
    """A fork that waits for its order; answers what hangs up when it has one, or is gone."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        _wait(orders, writing)
    os.close(writing)
    return reading


def _wait(orders: socket.socket, waiting: int) -> NoReturn:
    """In the first child: take one order, and carry it out."""
    namespaces.rehearse()
    descriptors: list[int] = []
    with suppress(OSError):
        _, descriptors, _, _ = socket.recv_fds(orders, 1, DESCRIPTORS)
    if not descriptors:
        os._exit(0)
    os.close(waiting)
    _guard(tuple(descriptors))


def _guard(descriptors: tuple[int, ...]) -> NoReturn:
    """Go into the sandbox, fork the stage there, report how it ended."""
    order, report, door, log, start = descriptors
    code = _BUG
    try:
        os.close(0)
        told = Order.read(order)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if _is_open(door):
            namespaces.enter(_only_child(told.monitor))
            namespaces.renounce()
            child = os.fork()
            if child == 0:
                os.close(report)
                if not os.read(start, 1):
                    os._exit(0)
                _become(told, log)
            os.write(report, f"{child}\n".encode())
            _, status = os.waitpid(child, 0)
            os.write(report, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        code = 0
    except OSError as error:
        # Whoever ordered it sees no report, and starts the stage in the ordinary way.
        os.write(log, f"The fork could not enter its sandbox: {error}\n".encode())
    finally:
        os._exit(code)


def _is_open(door: int) -> bool:
    """Knock, and wait until the sandbox's first program answers."""
    with socket.socket(fileno=door) as knocking:
        try:
            knocking.send(b"!")
            return bool(knocking.recv(1))
        except OSError:
            return False


def _only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _become(order: Order, log: int) -> NoReturn:
    """In the sandbox: be as if just started, and run the stage."""
    code = _BUG
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, 256)
        os.environ.clear()  # noqa: TID251 - this process is the stage's from here on
        os.environ.update(order.variables)  # noqa: TID251 - see above
        os.chdir(order.working_dir)
        sys.argv = [stages.__file__, *order.arguments]
        code = stages.main(list(order.arguments))
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - as the interpreter does it: a trace, and 1
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
