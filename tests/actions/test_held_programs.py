from collections.abc import Sequence

import pytest
from typing_extensions import override

from app.actions.held_programs import HeldPrograms
from app.adapters.base import ProgramInfo
from app.adapters.errors import AdapterError, ErrorType
from app.errors import AdapterUnavailableError
from app.stores.pages import Page
from tests.support.adapters import ScriptedAdapter


class _Away(ScriptedAdapter):
    @override
    async def list_programs(self) -> Sequence[ProgramInfo]:
        raise AdapterError(ErrorType.CONNECTION_FAILED, "nobody there", retry_after=self.wait_s)

    wait_s: float | None = None


@pytest.mark.parametrize(("asked", "told"), [(None, 1), (7, 7)])
async def test_an_adapter_that_cannot_be_asked_is_not_available(
    asked: float | None, told: float
) -> None:
    """The problem has the adapter's words, and when to come again."""
    adapter = _Away()
    adapter.wait_s = asked
    with pytest.raises(AdapterUnavailableError, match="nobody there") as failed:
        await HeldPrograms()(adapter, Page())
    assert failed.value.retry_after_s == told
