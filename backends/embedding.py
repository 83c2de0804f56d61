"""Vectors of texts, between the application and an engine process. Dataclasses only; knows no engine.

An engine answers each `Embed` with one `Embedded` and each `Rank` with one `Ranked`, or with `Failed`; one that was
called off with an `Output` that says so.
"""

from dataclasses import dataclass

from backends.protocol import Generate, Priority


@dataclass(frozen=True, slots=True)
class Embed:
    """Vectors wanted, one for each input: a text, token ids as they are, or both in one."""

    inputs: tuple[str | tuple[int | str, ...], ...]
    uid: int = 0  # given by the client that submits it
    dimensions: int | None = None  # only so many of the first ones, normalised again; None: all
    truncates: bool = False  # a text that is too long loses its end; False: it is refused
    priority: Priority = Priority.BATCH
    client: int | None = None  # as in Generate


@dataclass(frozen=True, slots=True)
class Rank:
    """Scores wanted, one for each document: how well it answers the query."""

    query: str
    documents: tuple[str, ...]
    uid: int = 0
    truncates: bool = False  # a document that is too long loses its end
    priority: Priority = Priority.BATCH
    client: int | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """vectors: float32, little endian, `dimensions` for each input one after the other, each of length 1."""

    uid: int
    vectors: bytes
    dimensions: int
    num_tokens: int  # of all inputs, as they were read


@dataclass(frozen=True, slots=True)
class Ranked:
    """scores: as the model gives them, mostly logits: only their order means something."""

    uid: int
    scores: tuple[float, ...]
    num_tokens: int


EmbeddingRequest = Embed | Rank
EmbeddingEvent = Embedded | Ranked
Question = Generate | Embed | Rank  # what an engine is asked: each has a uid, a priority and a client
