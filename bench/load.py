"""A load client in its own process: keep-alive connections that post one body again and again."""

import asyncio
import json
import sys
from time import perf_counter


async def post(port: int, path: str, body: bytes, *, requests: int, clients: int) -> list[float]:
    """Post `requests` times over `clients` connections; give the seconds that each took."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    message = head.encode() + body
    left = iter(range(requests))
    took: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            began = perf_counter()
            writer.write(message)
            await _read_answer(reader)
            took.append(perf_counter() - began)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return took


async def _read_answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"{head!r} {body!r}")


def main() -> None:
    """Read what to do from standard input, and write how it went."""
    told = json.load(sys.stdin)
    began = perf_counter()
    took = sorted(
        asyncio.run(
            post(
                told["port"],
                told["path"],
                told["body"].encode(),
                requests=told["requests"],
                clients=told["clients"],
            )
        )
    )
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
