"""Programs that the adapter does not hold."""

from uuid import uuid4

import pytest

from app.adapters.errors import AdapterError, ErrorType
from conformance.harness import Harness


async def test_has_no_info(harness: Harness) -> None:
    """Asking for a program that is not held says so, and names it."""
    program_id = uuid4()
    with pytest.raises(AdapterError, match=str(program_id)) as caught:
        await harness.adapter.get_program_info(program_id)
    assert caught.value.type is ErrorType.PROGRAM_NOT_FOUND


async def test_is_not_deleted(harness: Harness) -> None:
    """Deleting a program that is not held does nothing, and says so."""
    assert await harness.adapter.delete_program(uuid4()) is False


async def test_none_is_listed_at_first(harness: Harness) -> None:
    """An adapter begins with no programs."""
    assert list(await harness.adapter.list_programs()) == []
