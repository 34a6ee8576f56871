"""What the process's metrics tell of calls of LMs."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from app.adapters.dspy import DspyAdapter
from app.adapters.setup import AdapterSetup
from app.telemetry.metrics import Metrics
from tests.adapters.dspy_adapters import an_lm, failure_of
from tests.adapters.programs import a_call, a_program
from tests.support import model_server
from tests.support.model_server import USAGE, ModelServer
from tests.support.wait import wait_until


def _found(metrics: Metrics, name: str) -> dict[str, float]:
    """Give a counter's values by their labels, put together in their order."""
    families = text_string_to_metric_families(metrics.page("")[0].decode())
    return {
        " ".join(value for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


async def test_calls_and_tokens_are_counted_by_the_lm_s_name(server: ModelServer) -> None:
    """Each with its own tokens, though programs run side by side."""
    metrics = Metrics()
    lms = {"small": an_lm(server), "large": an_lm(server)}
    adapter = DspyAdapter(AdapterSetup("dspy", lms=lms, metrics=metrics))
    names = ("small", "small", "large")
    programs = [a_program(config={"lm": name}) for name in names]
    await asyncio.gather(*(adapter.execute_program(a_call(one)) for one in programs))
    await adapter.cleanup()
    prompt, completion = USAGE["prompt_tokens"], USAGE["completion_tokens"]
    assert _found(metrics, "dspatch_lm_calls_total") == {"large success": 1, "small success": 2}
    assert _found(metrics, "dspatch_lm_tokens_total") == {
        "prompt small": 2 * prompt,
        "completion small": 2 * completion,
        "prompt large": prompt,
        "completion large": completion,
    }


async def test_failures_are_counted_by_the_type_of_their_error(server: ModelServer) -> None:
    """Those of the model server, the LM's time limit, and calls that were cancelled."""
    metrics = Metrics()
    lms = {"main": an_lm(server, timeout_ms=200)}
    adapter = DspyAdapter(AdapterSetup("dspy", lms=lms, metrics=metrics))
    server.script(model_server.status(429), model_server.status(503), model_server.hang())
    for _ in range(3):
        await failure_of(adapter)
    server.script(model_server.hang())
    cancelled = asyncio.create_task(adapter.execute_program(a_call()))
    await wait_until(lambda: len(server.completions) == 4)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    await adapter.cleanup()
    assert _found(metrics, "dspatch_lm_calls_total") == {
        "main rate_limited": 1,
        "main overloaded": 1,
        "main timeout": 1,
        "main cancelled": 1,
    }
    assert _found(metrics, "dspatch_lm_tokens_total") == {"prompt main": 0, "completion main": 0}
