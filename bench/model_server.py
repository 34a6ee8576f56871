"""A model server that answers at once, in a process of its own: `python -m bench.model_server`.

It prints its port, and knows no more of HTTP than benches need: requests with a length, kept alive.
"""

import asyncio
import json
import re

from typing_extensions import override

ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "small",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": '{"answer": "Paris"}'},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }
).encode()
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
) + ANSWER
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """Answers each request of a connection the same."""

    def __init__(self) -> None:
        self._arrived = b""
        self._transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise
        self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._arrived += data
        while (head := self._arrived.find(b"\r\n\r\n")) >= 0:
            found = LENGTH.search(self._arrived, 0, head)
            end = head + 4 + (int(found[1]) if found else 0)
            if len(self._arrived) < end:
                return
            self._arrived = self._arrived[end:]
            self._transport.write(RESPONSE)


async def main() -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
