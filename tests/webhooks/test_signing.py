"""Signatures are those of Standard Webhooks."""

from datetime import UTC, datetime

import pytest

from app.settings import SettingsError, WebhooksSettings
from app.webhooks.signing import Signer, signer_of

SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the example of Standard Webhooks
NAME = "DSPATCH_WEBHOOK_SECRET"


def signer(secret: str) -> Signer | None:
    """Make the signer of a secret that stands where it does by default."""
    return signer_of(WebhooksSettings(), {NAME: secret})


@pytest.mark.parametrize("secret", [SECRET, f"whsec_{SECRET}"])
def test_a_delivery_is_signed_as_the_standard_says(secret: str) -> None:
    """Its own example, with the prefix of secrets and without."""
    signs = signer(secret)
    assert signs is not None
    now = datetime.fromtimestamp(1_614_265_330, UTC)
    headers = signs.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", now, '{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", ["", "whsec_"])
def test_without_a_secret_there_is_no_signer(secret: str) -> None:
    """Nothing is nothing, whatever stands before it."""
    assert signer(secret) is None
    assert signer_of(WebhooksSettings(), {}) is None


def test_a_secret_that_is_no_base64_refuses_the_start() -> None:
    """The variable is named, its value is not."""
    with pytest.raises(SettingsError, match=f"the variable {NAME} holds no base64"):
        signer("whsec_not base64!")
