"""Notices between processes, by LISTEN and NOTIFY: quick, and lost where nobody listens."""

from collections.abc import Callable

from app.stores.connections import Link

CHANNEL = "dspatch"


class NoticeLink:
    """A connection that listens and sends; it ends with the first failure."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def listen(self, hear: Callable[[str], None], ended: Callable[[], None]) -> None:
        """Have each notice of others heard, and the end of the connection."""
        own = self._link.get_server_pid()

        def pass_on(_link: object, pid: int, _channel: str, text: object) -> None:
            if pid != own:
                hear(str(text))

        self._link.add_termination_listener(lambda _link: ended())
        await self._link.add_listener(CHANNEL, pass_on)

    async def send(self, texts: list[str]) -> None:
        """Send notices, of none to see whether the connection is alive."""
        await self._link.fetch(
            "SELECT pg_notify($1, n) FROM unnest($2::text[]) AS n", CHANNEL, texts
        )

    def close(self) -> None:
        """End the connection at once."""
        self._link.terminate()
