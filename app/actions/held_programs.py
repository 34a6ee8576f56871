"""List what an adapter holds prepared."""

from operator import attrgetter

from app.adapters.base import Adapter, ProgramInfo
from app.adapters.errors import AdapterError
from app.errors import AdapterUnavailableError
from app.stores.pages import Page, Paged, page_of

RETRY_AFTER_S = 1.0


class HeldPrograms:
    """Asks adapters for the programs that they hold."""

    async def __call__(self, adapter: Adapter, page: Page) -> Paged[ProgramInfo]:
        """List, the newest first; raises AdapterUnavailableError and InvalidRequestError."""
        try:
            held = await adapter.list_programs()
        except AdapterError as error:
            wait_s = error.retry_after or RETRY_AFTER_S
            raise AdapterUnavailableError(error.message, retry_after_s=wait_s) from error
        return page_of(held, page, attrgetter("program_id"))
