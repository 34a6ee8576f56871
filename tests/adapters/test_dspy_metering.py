"""What the process's metrics tell of calls of LMs."""

import asyncio
import json
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.adapters.dspy import DspyAdapter
from app.adapters.setup import AdapterSetup
from app.telemetry.metrics import Metrics
from tests.adapters.dspy_adapters import an_lm, failure_of
from tests.adapters.programs import a_call, a_program
from tests.support import model_server
from tests.support.model_server import USAGE, ModelServer
from tests.support.spans import ToldSpans
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


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_call_is_a_span_of_its_model(
    server: ModelServer, spans: ToldSpans, *, is_kept: bool
) -> None:
    """With its tokens; with what was asked and said only where the operator keeps that."""
    adapter = DspyAdapter(AdapterSetup("dspy", lms={"main": an_lm(server)}))
    await adapter.execute_program(replace(a_call(), trace=[] if is_kept else None))
    await adapter.cleanup()
    (told,) = spans.named("chat ")
    attributes = dict(told.attributes or {})
    asked, said = (
        attributes.pop(f"gen_ai.{which}.messages", None) for which in ("input", "output")
    )
    provider, _, model = an_lm(server).model.rpartition("/")
    assert told.name == f"chat {model}"
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": USAGE["prompt_tokens"],
        "gen_ai.usage.output_tokens": USAGE["completion_tokens"],
    }
    assert (asked is not None) == (said is not None) == is_kept
    if is_kept:
        assert json.loads(str(asked))[0]["role"] == "system"
        assert json.loads(str(said))[0]["role"] == "assistant"


async def test_a_call_that_fails_is_a_span_with_its_error(
    server: ModelServer, spans: ToldSpans
) -> None:
    """By the word that the record has too; one that was cancelled is one of them."""
    adapter = DspyAdapter(AdapterSetup("dspy", lms={"main": an_lm(server)}))
    server.script(model_server.status(503), model_server.hang())
    await failure_of(adapter)
    cancelled = asyncio.create_task(adapter.execute_program(a_call()))
    await wait_until(lambda: len(server.completions) == 2)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    await adapter.cleanup()
    errors = [dict(of.attributes or {})["error.type"] for of in spans.named("chat ")]
    assert errors == ["overloaded", "cancelled"]
