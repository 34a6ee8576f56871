import asyncio

import pytest
from sqlalchemy.exc import IntegrityError

from app.database import Database
from app.errors import SignatureNotFoundError
from app.models.states import SignatureStatus
from app.stores.pages import Page
from app.stores.transaction import Transaction
from tests.stores.rows import IDS, a_signature


async def registered(database: Database, name: str, content_hash: str) -> int:
    """Register a content under a name, as the action does; give its version."""
    async with database.transaction() as tx:
        await tx.signatures.lock_name(name)
        known = await tx.signatures.find_content(name, content_hash)
        if known is not None:
            return known.version
        version = await tx.signatures.next_version(name)
        await a_signature(tx, name=name, version=version, content_hash=content_hash)
        return version


async def test_a_signature_is_kept_as_it_was_given(database: Database) -> None:
    """A new signature is a draft whose fields keep their order and the order of their members."""
    fields = [{"type": "string", "name": "b"}, {"name": "a", "type": "integer"}]
    async with database.transaction() as tx:
        added = await a_signature(tx, inputs=fields)
    async with database.transaction() as tx:
        found = await tx.signatures.get(added.id)
    assert repr(found.inputs) == repr(fields)
    assert found.status == SignatureStatus.DRAFT
    assert found.created_at == found.updated_at
    assert found.created_at.tzinfo is not None


async def test_an_unknown_signature_is_said_to_be_so(database: Database) -> None:
    """`get` raises what the client sees."""
    signature_id = IDS.new()
    async with database.transaction() as tx:
        with pytest.raises(SignatureNotFoundError, match=str(signature_id)):
            await tx.signatures.get(signature_id)


async def test_a_content_is_found_under_its_name_alone(database: Database) -> None:
    """The same content under another name is another signature."""
    async with database.transaction() as tx:
        added = await a_signature(tx, name="one", content_hash="same")
        other = await a_signature(tx, name="two", content_hash="same")
        assert await tx.signatures.find_content("one", "same") is added
        assert await tx.signatures.find_content("two", "same") is other
        assert await tx.signatures.find_content("one", "other") is None
        assert await tx.signatures.find_content("three", "same") is None


async def test_versions_are_counted_per_name(database: Database) -> None:
    """The first version of a name is 1, whatever other names have."""
    async with database.transaction() as tx:
        await a_signature(tx, name="one")
        await a_signature(tx, name="one", version=2)
        assert await tx.signatures.next_version("one") == 3
        assert await tx.signatures.next_version("two") == 1


@pytest.mark.parametrize("clash", [{"version": 1}, {"version": 2, "content_hash": "same"}])
async def test_the_database_refuses_a_second_of_a_version_or_content(
    database: Database, clash: dict[str, object]
) -> None:
    """Name and version, and name and content, are unique even for who forgets the lock."""
    async with database.transaction() as tx:
        await a_signature(tx, name="one", version=1, content_hash="same")
    with pytest.raises(IntegrityError):
        async with database.transaction() as tx:
            await a_signature(tx, name="one", **clash)


async def test_versions_have_no_gap_however_many_register_at_once(database: Database) -> None:
    """Of 20 different contents at once, each gets a version of its own out of 1 to 20."""
    versions = await asyncio.gather(
        *(registered(database, "one", f"content {number}") for number in range(20))
    )
    assert sorted(versions) == list(range(1, 21))


async def test_the_same_content_at_once_is_one_version(database: Database) -> None:
    """Of 20 who register the same content at once, one adds it and the others find it."""
    versions = await asyncio.gather(*(registered(database, "one", "same") for _ in range(20)))
    assert versions == [1] * 20


async def test_a_locked_name_holds_no_other_name_back(database: Database) -> None:
    """While one name is locked, another can be registered."""
    async with database.transaction() as tx:
        await tx.signatures.lock_name("one")
        assert await asyncio.wait_for(registered(database, "two", "content"), 5) == 1


async def test_signatures_are_listed_by_name_and_status(database: Database) -> None:
    """Each filter narrows the list, and two narrow it together."""

    async def names(tx: Transaction, **filters: object) -> list[str]:
        page = await tx.signatures.list_page(Page(), **filters)  # type: ignore[arg-type]
        return [signature.name for signature in page.items]

    async with database.transaction() as tx:
        await a_signature(tx, id=IDS.new(), name="one")
        active = await a_signature(tx, name="two")
        active.status = SignatureStatus.ACTIVE
        assert sorted(await names(tx)) == ["one", "two"]
        assert await names(tx, name="one") == ["one"]
        assert await names(tx, status=SignatureStatus.ACTIVE) == ["two"]
        assert await names(tx, name="one", status=SignatureStatus.ACTIVE) == []
