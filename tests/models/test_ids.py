from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.models.ids import Ids, first_id, item_id, item_range, place_of
from tests.support.clock import ManualClock

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - made aware by the next line
    max_value=datetime(9999, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def milliseconds(moment: datetime) -> int:
    """Count the whole milliseconds since 1970, without a float in between."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@given(MOMENTS)
def test_an_id_tells_its_millisecond(moment: datetime) -> None:
    """An id is a UUIDv7 of the clock's millisecond."""
    made = Ids(ManualClock(moment)).new()
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == milliseconds(moment)


@given(MOMENTS, st.floats(min_value=-5, max_value=5))
def test_ids_are_on_the_clock_of_the_database(moment: datetime, offset_s: float) -> None:
    """How far the database's clock is ahead is added to the time of each id."""
    moment = max(moment, datetime(1970, 1, 2, tzinfo=UTC))
    made = Ids(ManualClock(moment), offset_s).new()
    assert made.int >> 80 == milliseconds(moment + timedelta(seconds=offset_s))


@given(st.lists(st.floats(min_value=0.001, max_value=1e6), min_size=2))
def test_the_order_of_ids_is_that_of_time(pauses: list[float]) -> None:
    """An id that is made a millisecond later or more is greater."""
    clock = ManualClock()
    ids = Ids(clock)
    made = []
    for pause in pauses:
        made.append(ids.new())
        clock.advance(pause + 1e-6)
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_of_one_moment_differ() -> None:
    """Many ids of the same moment, of two makers, are all different."""
    first, second = Ids(ManualClock()), Ids(ManualClock())
    made = {maker.new() for maker in (first, second) for _ in range(5_000)}
    assert len(made) == 10_000


@given(MOMENTS)
def test_the_first_id_of_a_millisecond_is_below_all_of_it(moment: datetime) -> None:
    """Every id of a millisecond lies from its first id to the first of the next."""
    at = milliseconds(moment)
    assert first_id(at) <= Ids(ManualClock(moment)).new() < first_id(at + 1)


@given(st.lists(st.integers(min_value=0, max_value=2**32 - 1), min_size=1, unique=True))
def test_items_of_a_batch_are_one_range_in_order(places: list[int]) -> None:
    """Their ids are UUIDv7 of the batch's millisecond, and tell their places."""
    batch_id = Ids(ManualClock()).new()
    ids = [item_id(batch_id, place) for place in places]
    assert [place_of(one) for one in ids] == places
    assert [place_of(one) for one in sorted(ids)] == sorted(places)
    low, high = item_range(batch_id)
    assert all(low <= one <= high for one in ids)
    assert {(one.version, one.int >> 80) for one in ids} == {(7, batch_id.int >> 80)}


def test_items_of_two_batches_are_apart() -> None:
    """Also where the batches were made one after the other."""
    ids = Ids(ManualClock())
    batches = sorted(ids.new() for _ in range(100))
    ranges = [item_range(one) for one in batches]
    assert all(first[1] < second[0] for first, second in pairwise(ranges))
