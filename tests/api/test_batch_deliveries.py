"""What batches have told their receivers, over HTTP: shown, and told again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from standardwebhooks import Webhook

from app.main import create_app
from app.runtime import open_runtime
from app.settings import Settings, WebhooksSettings, WorkerSettings
from tests.support.batches import questions
from tests.support.factories import post_batch, post_program
from tests.support.receiver import Receiver, a_receiver, an_answer
from tests.support.wait import wait_until, wait_until_so

SECRET = {"DSPATCH_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
CALLBACK = "/batch_options/progress_callback"


@asynccontextmanager
async def a_calling_client(
    settings: Settings, receiver: Receiver, **worker: bool
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of an application that may call this receiver."""
    webhooks = WebhooksSettings(allowed_hosts=[receiver.host])
    update = {"webhooks": webhooks, "worker": WorkerSettings(**worker)}
    changed = settings.model_copy(update=update)
    async with open_runtime(changed, environment=SECRET) as runtime:
        transport = httpx.ASGITransport(create_app(changed, runtime))
        async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
            yield client


async def deliveries_of(client: httpx.AsyncClient, batch: dict[str, Any]) -> list[dict[str, Any]]:
    """List the deliveries of a batch."""
    answer = await client.get(f"/v1/batches/{batch['batch_id']}/deliveries")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


@pytest.mark.usefixtures("database")
async def test_a_receiver_is_called_and_called_again(settings: Settings) -> None:
    """Signed, once for the end; shown with its answer, and posted anew when somebody asks."""
    async with a_receiver() as receiver, a_calling_client(settings, receiver) as client:
        receiver.answers.append(an_answer("200 OK", b"thank you"))
        program = await post_program(client)
        options = {"progress_callback": receiver.url}
        batch = (await post_batch(client, program, questions(3), batch_options=options)).json()
        assert batch["batch_options"]["progress_callback"] == receiver.url

        async def is_delivered() -> bool:
            shown = await deliveries_of(client, batch)
            return bool(shown) and shown[0]["status"] == "delivered"

        await wait_until_so(is_delivered)
        (delivery,) = await deliveries_of(client, batch)
        (request,) = receiver.requests
        assert request.headers["webhook-id"] == delivery["delivery_id"]
        told = Webhook(SECRET["DSPATCH_WEBHOOK_SECRET"]).verify(request.body, request.headers)
        assert told["data"]["batch_id"] == batch["batch_id"]
        assert (delivery["type"], delivery["due_at"]) == ("batch.completed", None)
        assert [attempt["status"] for attempt in delivery["attempts"]] == [200]
        assert delivery["attempts"][0]["answer"] == "thank you"
        again = f"/v1/batches/{batch['batch_id']}/deliveries/{delivery['delivery_id']}/redeliver"
        answer = await client.post(again)
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")
        assert answer.json()["due_at"] is not None
        await wait_until(lambda: len(receiver.requests) == 2, timeout_s=30)
        assert receiver.requests[1].headers["webhook-id"] == delivery["delivery_id"]
        assert receiver.requests[1].body == request.body


@pytest.mark.usefixtures("database")
async def test_a_receiver_that_cannot_be_called_is_refused(settings: Settings) -> None:
    """At once, with its place; a name is not judged before it is called."""
    async with (
        a_receiver() as receiver,
        a_calling_client(settings, receiver, embedded=False) as client,
    ):
        program = await post_program(client)
        for url in ("https://127.0.0.1/", "http://hooks.example.com/", "https://u@a.example/"):
            options = {"progress_callback": url}
            answer = await post_batch(client, program, questions(1), batch_options=options)
            (fault,) = answer.json()["errors"]
            assert (answer.status_code, fault["path"], fault["code"]) == (422, CALLBACK, "address")
        options = {"progress_callback": "https://hooks.example.com/"}
        answer = await post_batch(client, program, [], batch_options=options)
        assert answer.status_code == 202
        (delivery,) = await deliveries_of(client, answer.json())
        assert (delivery["status"], delivery["attempts"]) == ("pending", [])
        upload = await client.post(
            f"/v1/programs/{program['program_id']}/batches",
            params={"progress_callback": "https://127.0.0.1/"},
            content=b"",
            headers={"Content-Type": "application/jsonl"},
        )
        path = "/query/progress_callback"
        assert (upload.status_code, upload.json()["errors"][0]["path"]) == (422, path)
        retry = f"/v1/batches/{answer.json()['batch_id']}/retry-failed"
        body = {"batch_options": {"progress_callback": "https://10.0.0.1/"}}
        refused = await client.post(retry, json=body)
        assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, CALLBACK)


async def test_without_a_secret_no_callback_is_taken(client: httpx.AsyncClient) -> None:
    """Nothing could be signed."""
    program = await post_program(client)
    options = {"progress_callback": "https://hooks.example.com/"}
    answer = await post_batch(client, program, questions(1), batch_options=options)
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["path"], fault["code"]) == (422, CALLBACK, "no_secret")


@pytest.mark.parametrize("url", [7, "https://" + "a" * 2_048])
async def test_a_callback_is_text_of_some_length(client: httpx.AsyncClient, url: Any) -> None:
    """Like other members of the body."""
    program = await post_program(client)
    answer = await post_batch(client, program, [], batch_options={"progress_callback": url})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, CALLBACK)


async def test_what_is_not_there_is_said_to_be_so(client: httpx.AsyncClient) -> None:
    """A batch, a delivery; a batch without a receiver has told nothing."""
    batch = (await post_batch(client, await post_program(client), [])).json()
    assert await deliveries_of(client, batch) == []
    missing = await client.get(f"/v1/batches/{uuid4()}/deliveries")
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/batch-not-found")
    again = f"/v1/batches/{batch['batch_id']}/deliveries/{uuid4()}/redeliver"
    missing = await client.post(again)
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/delivery-not-found")
