"""What an adapter is built from, and how the options of its settings are read."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.adapters.base import Adapter
from app.adapters.lm_limits import Lines, LMLimiters
from app.policies.clock import Clock, SystemClock
from app.settings import LMSettings, SettingsError
from app.telemetry.metrics import Metrics


def no_member(name: str) -> Adapter:
    """Know no other adapter; raises SettingsError."""
    raise SettingsError(f"there is no adapter {name!r} to be made of")


@dataclass(frozen=True)
class AdapterSetup:
    """One adapter as the operator asks for it: `options` stand beside `kind` in its settings.

    `member` gives the adapter of another name, which a combination is made of; SettingsError where
    there is none. What nobody asked for exists unnamed, and may never be used. `limiters` are the
    lines of the LMs, which all adapters of a process share.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    lms: Mapping[str, LMSettings] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = field(default_factory=SystemClock)
    metrics: Metrics = field(default_factory=Metrics)
    member: Callable[[str], Adapter] = no_member
    is_asked_for: bool = True
    limiters: Lines | None = None

    @property
    def lm_limiters(self) -> Lines:
        """The lines of the LMs; its own where it shares them with nobody."""
        return self.limiters or LMLimiters(self.lms, self.clock)


AdapterFactory = Callable[[AdapterSetup], Adapter]
"""Builds an adapter without I/O; SettingsError where its options cannot be used."""

Options = TypeVar("Options", bound=BaseModel)


def read_options(setup: AdapterSetup, model: type[Options]) -> Options:
    """Read an adapter's options; SettingsError names each one that is wrong."""
    try:
        return model.model_validate(dict(setup.options))
    except ValidationError as error:
        raise SettingsError("\n".join(describe(error, f"adapters.{setup.name}"))) from None


def describe(error: ValidationError, root: str) -> list[str]:
    """Say each fault of a validation in a line that names its place, and no value."""
    return [
        f"{'.'.join([root, *map(str, fault['loc'])])}: {fault['msg']}" for fault in error.errors()
    ]
