"""The engine for OpenAI-compatible servers: DSPy's contract for models, spoken over aiohttp."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, ClassVar, NoReturn

import aiohttp
import orjson
from aiohttp.http_exceptions import ContentEncodingError
from dspy import lm15  # type: ignore[import-untyped]

from app.adapters.dspy.endpoints import OPENAI, Endpoint
from app.adapters.dspy.servers import Answer, AnswerTooLargeError, ModelServers
from app.adapters.rate_limit_headers import read_word
from app.adapters.redaction import MAX_QUOTE, quote
from app.adapters.retry_after import retry_after_s
from app.policies.clock import Clock
from app.policies.rate import Word

CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
"""How OpenAI and llama.cpp name a prompt that is too long."""

CONTEXT_PHRASES = ("maximum context length", "exceeds the available context size")
"""How vLLM and older llama.cpp servers put it, without a code of their own."""

STATUS_ERRORS: Mapping[int, type[lm15.ProviderError]] = {
    401: lm15.AuthError,
    402: lm15.BillingError,
    403: lm15.AuthError,
    408: lm15.TimeoutError,
    429: lm15.RateLimitError,
}
"""Statuses with a meaning of their own; other 4xx are invalid requests, the rest server errors."""

PARAMETERS = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "max_tokens",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "seed",
        "service_tier",
        "stop",
        "temperature",
        "top_p",
        "user",
        "verbosity",
    }
)


class BlockingFace:
    """What DSPy asks of an engine before a call: what it can do, and a way without `await`."""

    supports_function_calling: ClassVar[bool] = False
    supports_reasoning: ClassVar[bool] = False
    supports_response_schema: ClassVar[bool] = True
    supported_params: ClassVar[frozenset[str]] = PARAMETERS

    def complete(self, _request: lm15.Request) -> NoReturn:
        """Refuse: a call that blocks would stop every other one of this process."""
        raise lm15.UnsupportedFeatureError("this LM is called with acall, not as a function")


class ChatCompletionsEngine:
    """Asks one model; its errors are those of `dspy.lm15`, with what the server says of waiting.

    `hear` is told what the server says of how many requests and tokens it still takes.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        servers: ModelServers,
        clock: Clock,
        hear: Callable[[Word | None, Word | None], None],
    ) -> None:
        self._endpoint = endpoint
        self._servers = servers
        self._clock = clock
        self._hear = hear
        self._url = endpoint.url("chat/completions")
        self._wire = lm15.OpenAIChatLM(
            api_key="unused",
            transport=_NoTransport(),
            compat=lm15.OpenAIChatCompat(max_tokens_field=_max_tokens_field(endpoint.base_url)),
        )

    async def complete(self, request: lm15.Request) -> lm15.Response:
        """Send a request and read the answer."""
        routed = replace(request, model=self._endpoint.model)
        body = self._wire.build_request(routed, stream=False).body
        try:
            answer = await self._servers.post(self._url, body, self._endpoint.headers)
        except (aiohttp.ClientError, OSError, AnswerTooLargeError) as error:
            raise _failure(error) from error
        now = self._clock.now()
        self._hear(*(read_word(kind, answer.headers, now) for kind in ("requests", "tokens")))
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return _response(answer, request.model, self._endpoint.secrets)
        raise self._refusal(answer)

    def _refusal(self, answer: Answer) -> lm15.ProviderError:
        code, text = _error_text(answer.body)
        kind = _error_class(answer.status, code, text)
        said = quote(text, self._endpoint.secrets)
        return kind(
            said or f"status {answer.status}",
            status=answer.status,
            provider_code=quote(code, self._endpoint.secrets) or None,
            retry_after=retry_after_s(answer.headers, self._clock.now()),
        )


class _NoTransport:
    """Stands where lm15 wants its own HTTP client, which is never asked."""

    def stream(self, _request: Any) -> NoReturn:
        raise lm15.TransportError("requests go through the adapter's own session")


def _max_tokens_field(base_url: str) -> str:
    # OpenAI retired `max_tokens`; many other servers know nothing else.
    return "max_completion_tokens" if base_url == OPENAI else "max_tokens"


def _failure(error: Exception) -> Any:
    match error:
        case AnswerTooLargeError():
            return lm15.ServerError("the answer is too large")
        case aiohttp.ClientResponseError():
            return lm15.ServerError("the answer is not HTTP")
        case aiohttp.ClientPayloadError(__cause__=ContentEncodingError()):
            return lm15.ServerError("the answer is not packed as it says")
        case _:
            return lm15.TransportError("the connection failed or broke")


def _error_class(status: int, code: str, text: str) -> Any:
    if status in STATUS_ERRORS:
        return STATUS_ERRORS[status]
    if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return lm15.ServerError
    if code in CONTEXT_CODES or any(phrase in text for phrase in CONTEXT_PHRASES):
        return lm15.ContextLengthError
    return lm15.InvalidRequestError


def _error_text(body: bytes) -> tuple[str, str]:
    """Find the code and the words of an error; servers wrap them in four ways."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    error = document.get("error", document) if isinstance(document, dict) else document
    if not isinstance(error, dict):
        return "", error if isinstance(error, str) else ""
    codes = (error.get("code"), error.get("type"))
    words = (error.get("message"), error.get("detail"))
    return (
        next((code for code in codes if isinstance(code, str)), ""),
        next((text for text in words if isinstance(text, str)), ""),
    )


def _response(answer: Answer, model: str, secrets: Sequence[str]) -> lm15.Response:
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        said = quote(answer.body[: 2 * MAX_QUOTE].decode("utf-8", "replace"), secrets)
        message = f"the answer is not JSON: {said or 'it is empty'}"
        raise lm15.ServerError(message, status=answer.status) from None
    if not _holds_message(document):
        raise lm15.ServerError("the answer holds no message", status=answer.status)
    try:
        return lm15.response_from_openai_chat(document, model=model, choice=0)
    except (TypeError, ValueError, AttributeError, lm15.LM15Error) as error:
        raise lm15.ServerError("the answer is not a completion", status=answer.status) from error


def _holds_message(document: Any) -> bool:
    try:
        return isinstance(document["choices"][0]["message"], dict)
    except (TypeError, KeyError, IndexError):
        return False
