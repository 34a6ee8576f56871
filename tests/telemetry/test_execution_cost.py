from app.telemetry.execution_cost import LEAST_BYTES, ExecutionCost

MB = 1024 * 1024


def _after(*looks: tuple[int, int]) -> float:
    """Give what an execution costs, in MB, after looks at so many that held so many MB."""
    cost = ExecutionCost()
    for running, held_mb in looks:
        cost.observe(running, held_mb * MB)
    return cost.bytes / MB


def test_nothing_is_cheaper_than_the_least() -> None:
    """Neither before the first look, nor where executions hold nothing to speak of."""
    assert LEAST_BYTES == MB
    assert _after() == _after((0, 100), (50, 101)) == 1


def test_what_runs_is_held_against_the_idle_process_before() -> None:
    """By the look with the most executions, since few tell little."""
    assert _after((0, 80), (0, 100), (10, 150)) == 5
    assert _after((0, 100), (1, 130), (10, 150), (5, 190)) == 5


def test_memory_that_is_kept_does_not_make_executions_free() -> None:
    """A process that was busy holds more for ever: that look at it counts, not the next."""
    assert _after((0, 100), (10, 150), (0, 150), (5, 150)) == 5


def test_a_process_that_was_never_idle_is_held_against_its_first_look() -> None:
    """It has nothing else."""
    assert _after((4, 100), (24, 160)) == 2.5
