"""An event loop in a stage, which a signal ends in good order.

Stages end by an exception out of the signal's handler (see `wrapper`). Within a loop that would
strike anywhere, also between a future that is done and the task that waits for it, which then
waits for ever. So here the signal cancels the work, and the exception comes when that has ended.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from pressplay.stages import wrapper
from pressplay.stages.wrapper import Stopped

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """What the work answers. Raises Stopped where SIGTERM or SIGINT cancelled it."""
    signals: list[int] = []
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(work)

        def stop(number: int) -> None:
            # A second signal must not interrupt the clean-up of the first.
            if not signals:
                task.cancel()
            signals.append(number)

        for number in wrapper.STOPPING:
            loop.add_signal_handler(number, stop, number)
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError:
            if not signals:
                raise
            raise Stopped(128 + signals[0]) from None
        finally:
            for number in wrapper.STOPPING:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)
            if not signals:
                wrapper.stop_on_signals()
