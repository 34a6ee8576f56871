"""What the engine for OpenAI-compatible servers sends."""

import json
from typing import Any

from dspy import lm15  # type: ignore[import-untyped]
from dspy.clients.engines.lm15_engine import AsyncLM15Engine  # type: ignore[import-untyped]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.dspy.endpoints import OPENAI, Endpoint
from app.adapters.dspy.engine import ChatCompletionsEngine
from app.adapters.dspy.servers import ModelServers
from tests.adapters.dspy_adapters import KEY, a_request, unheard
from tests.support.clock import ManualClock
from tests.support.model_server import ModelServer


async def test_sends_the_key_and_nothing_else_of_itself(
    engine: ChatCompletionsEngine, server: ModelServer
) -> None:
    """The key goes as a bearer token, the model without its provider."""
    await engine.complete(a_request())
    (call,) = server.completions
    assert call.headers["Authorization"] == f"Bearer {KEY}"
    assert call.body["model"] == "small"


async def test_sends_no_key_where_there_is_none(server: ModelServer, servers: ModelServers) -> None:
    """A server without keys is asked without one."""
    engine = ChatCompletionsEngine(
        Endpoint(server.base_url, "small"), servers, ManualClock(), unheard
    )
    await engine.complete(a_request())
    assert "Authorization" not in server.completions[0].headers


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "Outputs",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"answer": {"type": "string"}},
            "required": ["answer"],
            "additionalProperties": False,
        },
    },
}
BODIES = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.fixed_dictionaries(
                {"role": st.sampled_from(["user", "assistant"]), "content": TEXT.filter(bool)}
            ),
            min_size=1,
            max_size=4,
        ).map(lambda messages: [{"role": "system", "content": "Be brief."}, *messages])
    },
    optional={
        "temperature": st.sampled_from([0.0, 0.7, 1.0]),
        "top_p": st.sampled_from([0.1, 1.0]),
        "seed": st.integers(0, 2**31),
        "max_tokens": st.integers(1, 4_096),
        "stop": st.lists(st.sampled_from(["a", "b"]), min_size=1, unique=True),
        "frequency_penalty": st.sampled_from([-1.0, 0.5]),
        "presence_penalty": st.sampled_from([-1.0, 0.5]),
        "logit_bias": st.just({"50256": -100}),
        "reasoning_effort": st.sampled_from(["low", "high"]),
        "user": st.just("someone"),
        "response_format": st.sampled_from([{"type": "json_object"}, SCHEMA]),
    },
)


@given(BODIES)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_sends_what_the_request_says(
    engine: ChatCompletionsEngine, server: ModelServer, body: dict[str, Any]
) -> None:
    """What DSPy asks for arrives at the server member for member."""
    await engine.complete(a_request(**body))
    assert server.completions[-1].body == {"model": "small", **body}


@given(BODIES)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_does_as_dspys_own_engine(
    engine: ChatCompletionsEngine, server: ModelServer, body: dict[str, Any]
) -> None:
    """DSPy's own engine sends the same to the same server, and reads the same in the answer."""
    config = lm15.RouterConfig(
        api_keys={"openai-chat": KEY}, base_urls={"openai-chat": server.base_url}
    )
    own = AsyncLM15Engine(config)
    try:
        theirs = await own.complete(a_request(**body))
    finally:
        await own.aclose()
    ours = await engine.complete(a_request(**body))
    sent_by_them, sent_by_us = (call.body for call in server.completions[-2:])
    if "max_tokens" in body:
        sent_by_us["max_completion_tokens"] = sent_by_us.pop("max_tokens")
    assert sent_by_us == sent_by_them
    assert (ours.text, ours.usage, ours.finish_reason) == (
        theirs.text,
        theirs.usage,
        theirs.finish_reason,
    )


async def test_limits_tokens_in_openais_own_words(servers: ModelServers) -> None:
    """OpenAI itself is given the member that it wants now."""
    engine = ChatCompletionsEngine(Endpoint(OPENAI, "gpt"), servers, ManualClock(), unheard)
    body = engine._wire.build_request(a_request(max_tokens=7), stream=False).body
    assert json.loads(body)["max_completion_tokens"] == 7
