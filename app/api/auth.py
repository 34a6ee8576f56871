"""Who may call a route: declared on it by `@needs(…)`, asked before anything of a body is read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request

from app.actions.keyring import ANYBODY, Caller
from app.errors import ForbiddenError, UnauthorizedError
from app.models.scopes import Scope
from app.settings import AuthSettings

SECURITY_SCHEME = "key"
SECURITY_SCHEMES = {
    SECURITY_SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "dsp_<id>_<secret>",
        "description": "A key that `dspatch keys create` made. Without one, or with one that is "
        "unknown, expired or revoked: 401; without the scope: 403.",
    }
}

_NEED = "__need__"

E = TypeVar("E", bound=Callable[..., Any])


@dataclass(frozen=True)
class Need:
    """What a route needs: a key with one of `scopes`, or none at all where `is_open` says so."""

    scopes: frozenset[Scope]
    is_open: Callable[[AuthSettings], bool] = lambda _: False

    def require(self, caller: Caller) -> None:
        """Raise ForbiddenError where a caller has none of the scopes.

        Routes call it themselves where the need depends on their body.
        """
        if not self.scopes & caller.scopes:
            raise ForbiddenError(f"The key has none of these scopes: {self.words}.")

    @property
    def words(self) -> str:
        """The scopes, for people."""
        return ", ".join(scope for scope in Scope if scope in self.scopes)


OPEN = Need(frozenset(), lambda _: True)
"""Probes and pages."""
READ = Need(frozenset({Scope.READ, Scope.MANAGE, Scope.ADMIN}))
"""Reading whatever is none of the next, and looking without a change."""
READ_RUNS = Need(READ.scopes | {Scope.EXECUTE})
"""Reading programs, executions and batches: who runs them may read them."""
EXECUTE = Need(frozenset({Scope.EXECUTE, Scope.ADMIN}))
"""Running, and whatever is done to runs."""
MANAGE = Need(frozenset({Scope.MANAGE, Scope.ADMIN}))
"""Changing signatures and programs, and importing Python modules by name."""
ADMIN = Need(frozenset({Scope.ADMIN}))
"""What touches everybody's work."""
METRICS = Need(READ.scopes, lambda auth: auth.metrics_open)
"""The figures, which the operator may open."""


def needs(need: Need) -> Callable[[E], E]:
    """Declare what a route needs; it stands between the route's decorator and the function."""

    def declare(endpoint: E) -> E:
        setattr(endpoint, _NEED, need)
        return endpoint

    return declare


def need_of(endpoint: Callable[..., Any]) -> Need:
    """Find what a route needs; TypeError where it does not say."""
    need: Need | None = getattr(endpoint, _NEED, None)
    if need is None:
        raise TypeError(f"{endpoint.__qualname__} does not say who may call it: add @needs(…)")
    return need


async def authorize(request: Request, need: Need) -> None:
    """Let the request pass, its caller put into the scope's state.

    Raises UnauthorizedError, ForbiddenError and DatabaseUnavailableError.
    """
    auth: AuthSettings = request.app.state.settings.auth
    if need.is_open(auth):
        return
    caller = ANYBODY if auth.mode == "none" else await _caller(request)
    need.require(caller)
    request.scope["state"]["caller"] = caller


async def _caller(request: Request) -> Caller:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    caller: Caller | None = None
    if scheme.lower() == "bearer":
        caller = await request.app.state.runtime.keyring.find(text.strip(" "))
    if caller is None:
        raise UnauthorizedError("Send a valid key: `Authorization: Bearer dsp_…`.")
    return caller
