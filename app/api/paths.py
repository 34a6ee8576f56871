"""Which paths are the API's, and which are for those who watch the process."""

from collections.abc import Mapping
from typing import Any

WATCHED = frozenset({"/livez", "/readyz", "/startupz", "/metrics"})
"""What is asked every few seconds, and answered however full the process is."""

EVENTS = "/events"
"""How the paths of event streams end: who listens does nothing but wait, however long."""


def is_of_api(scope: Mapping[str, Any]) -> bool:
    """Tell whether a request is one of the API."""
    return str(scope.get("path", "")).startswith("/v1/")
