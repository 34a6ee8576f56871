"""A load client in its own process: keep-alive connections that post one body again and again."""

import asyncio
import json
import sys
from collections.abc import Mapping
from time import perf_counter
from typing import Any


async def post(told: Mapping[str, Any]) -> list[float]:
    """Post `requests` times over `clients` connections; give the seconds that each took."""
    port, body, requests, clients = told["port"], told["body"], told["requests"], told["clients"]
    headers = {
        "Host": "bench",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **told.get("headers", {}),
    }
    lines = [f"POST {told['path']} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers)]
    message = "\r\n".join([*lines, "", body]).encode()
    status = told.get("status", 200)
    left = iter(range(requests))
    took: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            began = perf_counter()
            writer.write(message)
            await _read_answer(reader, status)
            took.append(perf_counter() - began)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return took


async def _read_answer(reader: asyncio.StreamReader, status: int) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    if not head.startswith(f"http/1.1 {status}".encode()):
        raise RuntimeError(f"{head!r} {body!r}")


def main() -> None:
    """Read what to do from standard input, and write how it went."""
    told = json.load(sys.stdin)
    began = perf_counter()
    took = sorted(asyncio.run(post(told)))
    seconds = perf_counter() - began
    last = len(took) - 1
    print(
        json.dumps(
            {
                "per_s": len(took) / seconds,
                "p50_ms": took[last // 2] * 1_000,
                "p99_ms": took[last * 99 // 100] * 1_000,
            }
        )
    )


if __name__ == "__main__":
    main()
