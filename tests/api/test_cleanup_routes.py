from typing import Any

import httpx
import pytest

from app.database import Database
from app.models.scopes import Scope
from tests.actions.resource_cleanup import mess
from tests.support.factories import a_key, bearing


async def test_a_cleanup_is_dry_unless_it_is_told_otherwise(
    client: httpx.AsyncClient, database: Database
) -> None:
    """The report has the contract's shape; what is found stays until it is mended."""
    async with database.transaction() as tx:
        await mess.keys(tx)
    for body, removed in (({}, 0), ({"dry_run": False}, 1), ({"dry_run": False}, 0)):
        answer = await client.post("/v1/cleanup", json=body)
        assert answer.status_code == 200
        report = answer.json()
        assert [*report] == ["timestamp", "dry_run", "duration_ms", "categories", "summary"]
        assert report["timestamp"].endswith("Z")
        assert report["dry_run"] is (body == {})
        keys = report["categories"]["expired_idempotency_keys"]
        assert [*keys] == [
            *("found", "removed", "kept", "reasons", "bytes_freed", "duration_ms", "errors")
        ]
        assert keys["removed"] == removed
        assert [*report["summary"]] == ["found", "removed", "kept", "bytes_freed", "errors"]


async def test_categories_are_named(client: httpx.AsyncClient) -> None:
    """Only those are run."""
    body = {"categories": ["finished_jobs"]}
    report = (await client.post("/v1/cleanup", json=body)).json()
    assert [*report["categories"]] == ["finished_jobs"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"dry_run": "no"}, "/dry_run"),
        ({"categories": []}, "/categories"),
        ({"categories": ["dust"]}, "/categories/0"),
        ({"apply": True}, "/apply"),
    ],
)
async def test_what_is_not_understood_changes_nothing(
    client: httpx.AsyncClient, body: dict[str, Any], path: str
) -> None:
    """422, and the place is named."""
    answer = await client.post("/v1/cleanup", json=body)
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == [path]


async def test_to_mend_needs_admin_and_to_look_does_not(
    keyed_client: httpx.AsyncClient, database: Database
) -> None:
    """A key that may only read can run it dry."""
    reading, admin = await a_key(database, Scope.READ), await a_key(database, Scope.ADMIN)
    for key, dry_run, status in ((reading, True, 200), (reading, False, 403), (admin, False, 200)):
        body = {"dry_run": dry_run, "categories": ["finished_jobs"]}
        answer = await keyed_client.post("/v1/cleanup", json=body, headers=bearing(key))
        assert answer.status_code == status
