"""Names are known once they have come, however many there are."""

from app.actions.batch_processing.names import SHARDS, Names


def test_a_name_is_new_once() -> None:
    """Among more names than there are shards."""
    names, count = Names(), SHARDS + 1_000
    assert all(names.is_new(f"row-{number}") for number in range(count))
    assert not any(names.is_new(f"row-{number}") for number in range(0, count, 100))
    assert names.is_new(f"row-{count}")
