"""What could not be served, and why."""

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    CONTEXT_LENGTH = "context_length_exceeded"
    BAD_REQUEST = "bad_request"
    BAD_TEMPLATE = "bad_template"
    NO_INFILL = "no_infill"  # the vocabulary has no tokens for it
    BAD_MODEL = "bad_model"
    OUT_OF_MEMORY = "out_of_memory"
    ENGINE_DIED = "engine_died"
    UNAVAILABLE = "engine_unavailable"  # the machine lacks something for a moment; the request has no part in it
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Failed:
    """A request (uid), or the load itself (uid None), that could not be served. `message` is for a person.

    numbers: for CONTEXT_LENGTH the prompt's tokens and the context's; else empty. about: the part of the request that
    is at fault, as Generate, its sampling or Embed name it; None: no part of it, or nobody knows.
    """

    uid: int | None
    kind: FailureKind
    message: str
    numbers: tuple[int, ...] = ()
    about: str | None = None
