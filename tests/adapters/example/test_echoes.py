"""The suite of Dspatch on the adapter of this package, which is found by its entry point."""

from collections.abc import Mapping
from typing import Any

import pytest

from app.adapters.building import build_adapters
from app.adapters.errors import ErrorType
from app.adapters.setup import AdapterSetup
from app.settings import AdapterSettings
from conformance.harness import Harness
from conformance.suite import *  # noqa: F403 - the tests


def parrot(**options: Any) -> Any:
    """Build the adapter as Dspatch does, of the settings of an operator."""
    settings = {"parrot": AdapterSettings.model_validate({"kind": "echo", **options})}
    return next(
        of.inner for of in build_adapters(settings, AdapterSetup("")) if of.name == "parrot"
    )


class EchoHarness(Harness):
    """A program's config says what the echo does."""

    def wrong(self) -> Mapping[str, Any]:
        """Ask for what an echo does not know."""
        return {"echo": {"colour": "red"}}

    def saying(self, outputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Say these outputs."""
        return {"echo": {"says": dict(outputs)}}

    def failing(self, error_type: ErrorType) -> Mapping[str, Any]:
        """Fail so."""
        return {"echo": {"fails": error_type.value}}

    def hanging(self) -> Mapping[str, Any]:
        """Hang."""
        return {"echo": {"hangs": True}}

    def is_hanging(self) -> bool:
        """Say whether the call has arrived."""
        return self.adapter.in_flight > 0

    def unhealthy(self) -> None:
        """Break it."""
        self.adapter.inner = parrot(is_out_of_order=True)


@pytest.fixture
async def harness() -> EchoHarness:
    """Give the adapter, with a back-end that does as it is told."""
    return EchoHarness(parrot())
