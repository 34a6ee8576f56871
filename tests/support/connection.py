"""The client's side of a request that the application serves in process, message by message."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message


@dataclass
class Connection:
    """A client's side of one request: what it sends when, and what it has been answered."""

    messages: Iterable[Message]
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    answered: list[Message] = field(default_factory=list)

    async def receive(self) -> Message:
        """Give what was sent; then nothing comes until the client is gone."""
        for message in self.messages:
            return message
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take what is answered."""
        self.answered.append(message)

    @property
    def status(self) -> int:
        """The status of the answer."""
        return int(self.answered[0]["status"])


def a_scope(
    method: str, path: str, query: str = "", content_type: str = "application/json", **headers: str
) -> dict[str, Any]:
    """Describe a request as a server does."""
    sent = {"host": "dspatch", "content-type": content_type, **headers}
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }
