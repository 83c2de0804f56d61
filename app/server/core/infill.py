"""The middle of a text is wanted: how a dialect asks for it, and says that a model cannot."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import RequestError
from app.server.core.refusal import STATUS, Refusal
from backends.protocol import FailureKind


@contextmanager
def refused_by_name(field: str) -> Iterator[None]:
    """Around `answer`. field: the one by which this dialect asks for it, for whoever learns that the model cannot."""
    try:
        yield
    except RequestError as error:
        if error.kind is not FailureKind.NO_INFILL:
            raise
        kind = error.kind
        raise Refusal(STATUS[kind], f"{field}: {error}", param=field, code=kind.value) from error
