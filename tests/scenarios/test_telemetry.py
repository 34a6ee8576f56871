"""A server that tells a collector what it does, and goes on when nobody listens."""

from pathlib import Path
from time import monotonic

import httpx

from tests.support.collector import Collector
from tests.support.factories import post_execution, post_program
from tests.support.model_server import ModelServer
from tests.support.server import serving
from tests.support.wait import wait_until

SETTINGS = """
[lms.main]
model = "openai/tiny"
api_base = "{api_base}"
"""

SPANS = {"invoke_workflow answerer", "attempt 1", "call dspy", "chat tiny"}


async def test_spans_and_figures_reach_a_collector_that_goes_away(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """The standard variables are enough; without a collector executions go on, and the end is soon.

    What was not sent yet is given up after two seconds.
    """
    config = tmp_path / "dspatch.toml"
    async with ModelServer() as model, Collector() as collector:
        config.write_text(SETTINGS.format(api_base=model.base_url))
        told = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
        }
        serve = serving("--config", str(config), environment=environment | told)
        async with (
            serve as server,
            httpx.AsyncClient(base_url=server.base_url, timeout=60) as client,
        ):
            program = await post_program(client, adapter="dspy", config={})
            assert (await post_execution(client, program)).status_code == 200
            await wait_until(lambda: set(collector.spans) >= SPANS, 30)
            await wait_until(lambda: "gen_ai.client.token.usage" in collector.figures, 30)
            await collector.__aexit__()
            assert (await post_execution(client, program)).status_code == 200
            began = monotonic()
            assert await server.stop() == 0
    assert collector.services == {"dspatch"}
    assert monotonic() - began < 20
    assert not server.tracebacks
