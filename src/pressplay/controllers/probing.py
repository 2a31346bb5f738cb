"""Readiness: does the process answer, the way a kubelet would ask."""

from __future__ import annotations

import asyncio

_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_TIMEOUT_S = 2.0


async def until_answers(*, port: int, path: str, host: str) -> None:
    """Return once a GET on the loopback port is answered with 200 to 399; asks for ever.

    Source of the range: Kubernetes' documentation, "HTTP probes".
    """
    pause = _PAUSE_S
    while not await _answers(port=port, path=path, host=host):
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE_S, pause * 1.3)


async def _answers(*, port: int, path: str, host: str) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                asked = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                writer.write(asked.encode())
                await writer.drain()
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    parts = line.split()
    return len(parts) > 1 and parts[1].isdigit() and 200 <= int(parts[1]) < 400
