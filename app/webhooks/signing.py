"""Signatures by which receivers know who has sent a delivery, as Standard Webhooks writes them."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime

from app.settings import SettingsError, WebhooksSettings

PREFIX = "whsec_"


class Signer:
    """Signs deliveries with a secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def headers(self, delivery_id: str, now: datetime, body: str) -> Mapping[str, str]:
        """Give the headers of an attempt that is made `now`."""
        moment = str(int(now.timestamp()))
        signed = f"{delivery_id}.{moment}.{body}".encode()
        signature = base64.b64encode(hmac.digest(self._secret, signed, "sha256")).decode()
        return {
            "webhook-id": delivery_id,
            "webhook-timestamp": moment,
            "webhook-signature": f"v1,{signature}",
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
