"""A delivery outlives the process that makes it: it is neither lost nor made under another id."""

import json

import httpx
import pytest

from tests.support.factories import post_batch, post_program
from tests.support.receiver import a_receiver
from tests.support.server import serving
from tests.support.wait import wait_until, wait_until_so

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - an example


@pytest.mark.long
async def test_a_server_is_killed_amid_a_delivery(quick: dict[str, str]) -> None:
    """The receiver has the delivery and has not answered: another server makes it, as the same."""
    async with a_receiver(None) as receiver:
        environment = quick | {
            "DSPATCH_WEBHOOK_SECRET": SECRET,
            "DSPATCH_WEBHOOKS__ALLOWED_HOSTS": json.dumps([receiver.host]),
        }
        async with (
            serving(environment=environment) as first,
            httpx.AsyncClient(base_url=first.base_url, timeout=60) as client,
        ):
            program = await post_program(client)
            options = {"progress_callback": receiver.url}
            batch = (await post_batch(client, program, [], batch_options=options)).json()
            await wait_until(lambda: len(receiver.requests) == 1, timeout_s=60)
            first.process.kill()
            await first.process.wait()
        async with (
            serving(environment=environment) as second,
            httpx.AsyncClient(base_url=second.base_url, timeout=60) as client,
        ):
            path = f"/v1/batches/{batch['batch_id']}/deliveries"

            async def is_delivered() -> bool:
                (delivery,) = (await client.get(path)).json()["items"]
                return bool(delivery["status"] == "delivered")

            await wait_until_so(is_delivered, timeout_s=60)
            (delivery,) = (await client.get(path)).json()["items"]
        one, other = receiver.requests
        assert one.headers["webhook-id"] == other.headers["webhook-id"] == delivery["delivery_id"]
        assert one.body == other.body
        assert [attempt["status"] for attempt in delivery["attempts"]] == [204]
        assert SECRET.removeprefix("whsec_") not in first.output + second.output
