"""What the `dspy` adapter takes from a program's config, and from that of one call."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.adapters.errors import AdapterError, ErrorType
from app.adapters.setup import describe

OTHER_MEMBERS = frozenset({"mock", "remote_program"})
"""What other adapters take: a config holds the settings of all members of a combined adapter."""

NOT_YET = frozenset({"lms", "tools", "module_args"})
"""Part of the contract, for modules that this adapter does not run."""

Model = TypeVar("Model", bound=BaseModel)
Penalty = Annotated[float, Field(ge=-2, le=2)]


class LMParameters(BaseModel):
    """The parameters of a language model that programs and calls may set; null takes one back."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    temperature: Annotated[float, Field(ge=0)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | list[str] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    user: str | None = None


class DspyConfig(LMParameters):
    """A program's config: its LM, the format of its prompts, and parameters of the LM."""

    lm: str | None = None
    prompt_format: str = "json"

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The LM parameters alone."""
        return self.model_dump(exclude_unset=True, exclude={"lm", "prompt_format"})


def read_config(config: Mapping[str, Any]) -> DspyConfig:
    """Read a program's config; `invalid_request` names every member that is wrong."""
    later = sorted(NOT_YET & config.keys())
    if later:
        raise AdapterError(
            ErrorType.UNSUPPORTED, f"the dspy adapter does not take config.{later[0]}"
        )
    own = {name: value for name, value in config.items() if name not in OTHER_MEMBERS}
    return _read(DspyConfig, own, "config")


def read_parameters(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read the LM parameters of one call; `invalid_request` names every one that is wrong."""
    return _read(LMParameters, config, "execution_options.config").model_dump(exclude_unset=True)


def _read(model: type[Model], config: Mapping[str, Any], root: str) -> Model:
    try:
        return model.model_validate(dict(config))
    except ValidationError as error:
        raise AdapterError(ErrorType.INVALID_REQUEST, "; ".join(describe(error, root))) from None
