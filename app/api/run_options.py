"""The options that executions and batches share: what they may be, and what is said of them."""

from typing import Annotated, TypeAlias

from pydantic import Field

AttemptMs: TypeAlias = Annotated[
    int, Field(strict=True, ge=1, le=3_600_000, description="Of one attempt.")
]
Retries: TypeAlias = Annotated[
    int, Field(strict=True, ge=0, le=10, description="Attempts after the first.")
]
RetryDelayMs: TypeAlias = Annotated[
    int,
    Field(strict=True, ge=0, le=60_000, description="Where the exponential back-off begins."),
]
Repairs: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=5)]
