"""Refuse a callback at once that could never be called."""

from app.errors import Fault, InvalidRequestError
from app.webhooks.addresses import AddressRules, RefusedAddressError


class CallbackCheck:
    """Looks at the address of a receiver as it is written; names are judged at delivery.

    Without a secret to sign by nothing is posted to anybody.
    """

    def __init__(self, rules: AddressRules, *, has_secret: bool) -> None:
        self._rules = rules
        self._has_secret = has_secret

    def __call__(self, address: str | None, path: str) -> None:
        """Look at what stands at `path` of the request; InvalidRequestError."""
        if address is None:
            return
        if not self._has_secret:
            message = "callbacks are not taken: the operator has set no secret to sign them by"
            raise _refusal(Fault(path, "no_secret", message))
        try:
            self._rules.read(address)
        except RefusedAddressError as error:
            raise _refusal(Fault(path, "address", str(error))) from None


def _refusal(fault: Fault) -> InvalidRequestError:
    return InvalidRequestError("The receiver cannot be called.", faults=[fault])
