"""Everything that can go wrong with a request, in OpenAI's shape: {"error": {message, type, param, code}}."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from http import HTTPStatus

from app.errors import (
    AlreadyThere,
    EngineError,
    EvaluationError,
    HubError,
    HubFault,
    InstallError,
    ModelFileError,
    RequestError,
    SlipstreamError,
    StoppedError,
    UnknownModelError,
    UnloadableError,
    UsageError,
)
from app.library.gguf import UnreadableFileError
from app.server.core.limits import MAX_QUOTED
from backends.bounds import as_name, sentence
from backends.protocol import FailureKind

BODY_TOO_LARGE = "body_too_large"
NOT_LOADABLE = "model_not_loadable"  # a 4xx: clients try a 5xx again, which is of no use here
REFUSED = "refused"  # the type of our own validation errors, which may name the field by themselves

LIKENESS = 0.8  # from 0 to 1, as difflib counts it: a letter or a part too many or too few

BUSY = {"Retry-After": "5"}  # seconds: an engine that died is back by then, if it comes back

STATUS = {
    FailureKind.CONTEXT_LENGTH: 400,
    FailureKind.BAD_REQUEST: 400,
    FailureKind.BAD_TEMPLATE: 400,
    FailureKind.NO_INFILL: 400,
    FailureKind.BAD_MODEL: 503,
    FailureKind.OUT_OF_MEMORY: 503,
    FailureKind.ENGINE_DIED: 503,
    FailureKind.UNAVAILABLE: 503,
    FailureKind.INTERNAL: 500,
}


class Refusal(Exception):
    """Why a request is not served, without any dialect's words. The message is cut: a part of it may come from a
    request, a file or a template.

    param: the field at fault. code: a word for programs. numbers: of a prompt that is too long, its tokens and the
    context's.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        numbers: tuple[int, ...] = (),
    ):
        self.message = sentence(message)
        super().__init__(self.message)
        self.status = status
        self.param = param and as_name(param, MAX_QUOTED)
        self.code = code
        self.numbers = numbers
        self.headers = dict(headers or {})

    def with_loss(self, num_tokens: int) -> "Refusal":
        """Of an answer that had begun and is not handed over."""
        lost = f"What it had said until then ({num_tokens:,} tokens) is lost: a stream would have brought it."
        return Refusal(
            self.status,
            f"{self.message} {lost}",
            param=self.param,
            code=self.code,
            headers=self.headers,
            numbers=self.numbers,
        )


CLOSE = {"Connection": "close"}  # what follows on this connection would be read as a request, or by a broken server
BUG = Refusal(500, "The server met an error of its own. Its log says more.", headers=CLOSE)


def from_slipstream(error: SlipstreamError) -> Refusal:
    match error:
        case UnknownModelError():
            return Refusal(404, str(error), param="model", code="model_not_found")
        case RequestError(kind=FailureKind.CONTEXT_LENGTH, numbers=(prompt, context)):
            return _too_long(prompt, context, error.field)
        case RequestError():
            status = STATUS[error.kind]
            headers = CLOSE if status == 500 else BUSY if status == 503 else None
            message = f"{error.field}: {error}" if error.field else str(error)
            return Refusal(status, message, param=error.field, code=error.kind.value, headers=headers)
        case UnloadableError():
            return Refusal(400, str(error), param="model", code=NOT_LOADABLE)
        case StoppedError():
            return Refusal(403, str(error), code="stopped")  # clients try most other statuses again
        case UsageError():
            return Refusal(400, str(error))
        case AlreadyThere():
            return Refusal(409, str(error), code="already_there")
        case HubError(kind=HubFault.NOT_FOUND | HubFault.GATED | HubFault.UNAUTHORIZED):
            return Refusal(404, str(error), code="not_on_the_hub")
        case InstallError() | EvaluationError():
            return Refusal(400, str(error))
        case EngineError(crash=crash):
            return Refusal(503, str(error), code="engine_died" if crash else "engine_not_ready", headers=BUSY)
        case ModelFileError() if not isinstance(error, UnreadableFileError):
            return Refusal(400, str(error), param="model", code=NOT_LOADABLE)
        case _:  # a model file that cannot be read now, and the like
            return Refusal(503, str(error), headers=BUSY)


def from_http(
    status: int, detail: str, headers: Mapping[str, str] | None, path: str, paths: Sequence[str] = ()
) -> Refusal:
    """Starlette's own refusals: no such route, no such method, a body that is no text. paths: those that are there."""
    path = as_name(path, MAX_QUOTED)
    near = get_close_matches(path, paths, 1, LIKENESS) if status == 404 else ()
    methods = (headers or {}).get("Allow", "").removesuffix(", OPTIONS")
    sentences = {
        404: f"There is no route {path} here." + (f" Near it: {near[0]}." if near else ""),
        405: f"{path} does not offer this method." + (f" It takes {methods}." if methods else ""),
    }
    phrase = HTTPStatus(status).phrase.lower().replace(" ", "_")
    code = BODY_TOO_LARGE if status == 413 else phrase
    return Refusal(status, sentences.get(status, detail), code=code, headers=headers)


def _too_long(prompt: int, context: int, param: str | None) -> Refusal:
    """Clients look for the sentence that OpenAI begins with, and for llama-server's of the available context size."""
    message = (
        f"This model's maximum context length is {context} tokens, but your prompt of {prompt} is too large: it "
        "exceeds the available context size. Shorten the prompt, or load the model with a larger context."
    )
    return Refusal(400, message, param=param, code=FailureKind.CONTEXT_LENGTH.value, numbers=(prompt, context))
