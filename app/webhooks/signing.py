"""Signatures by which receivers know who has sent a delivery, as Standard Webhooks writes them."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime

from standardwebhooks import Webhook

from app.settings import SettingsError, WebhooksSettings

PREFIX = "whsec_"


class Signer:
    """Signs deliveries with a secret."""

    def __init__(self, secret: bytes) -> None:
        self._webhook = Webhook(secret)

    def headers(self, delivery_id: str, now: datetime, body: str) -> Mapping[str, str]:
        """Give the headers of an attempt that is made `now`."""
        return {
            "webhook-id": delivery_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(delivery_id, now, body),
        }


def signer_of(settings: WebhooksSettings, environment: Mapping[str, str]) -> Signer | None:
    """Make the signer of the settings, None without a secret; SettingsError where it is none.

    It is base64, with `whsec_` in front or without.
    """
    text = environment.get(settings.secret_env, "").removeprefix(PREFIX).rstrip("=")
    if not text:
        return None
    try:
        return Signer(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except binascii.Error:
        raise SettingsError(f"the variable {settings.secret_env} holds no base64") from None
