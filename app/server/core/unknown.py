"""Fields that no table has. What is a known one but for its spelling is refused; of the others the answer's header
tells, so that none is left out in silence.

OpenAI's server refuses every unknown field; llama-server and vLLM take them all, and programs written for those send
some.
"""

import re
from collections.abc import Collection, Iterable
from contextvars import ContextVar
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice

HEADER = b"x-slipstream-ignored"
LIKENESS = 0.85  # from 0 to 1, as difflib counts it: a letter too many, too few or exchanged in a name of some length
MAX_COMPARED, MAX_LENGTH = 64, 64  # names of one request in all its parts, and characters of one
MAX_TOLD, MAX_SHOWN = 16, 40
UNFIT = re.compile(r"[^\w.\-\[\]]", re.ASCII)  # for a header's value, whose commas stand between names
UNWRITTEN = re.compile(r"[\W_]")


class Ignored(list[str]):
    """Of one request. compared: names that were held against known ones, which takes its time with each."""

    def __init__(self) -> None:
        super().__init__()
        self.compared: set[str] = set()


# set for the task that answers: a dialect's tables need not know of headers
IGNORED: ContextVar[Ignored | None] = ContextVar("ignored", default=None)


def note(names: Iterable[str]) -> None:
    """Outside of a request nothing happens."""
    noted = IGNORED.get()
    if noted is not None:
        noted += list(islice((name for name in names if name not in noted), MAX_TOLD + 1 - len(noted)))


def header(names: list[str]) -> bytes:
    """Its value: names as the client wrote them, cleaned and cut; “...” for more of them."""
    shown = [UNFIT.sub("?", name[:MAX_SHOWN]) or "?" for name in names[:MAX_TOLD]]
    return ", ".join(shown + ["..."] * (len(names) > MAX_TOLD)).encode("ascii")


def meant(unknown: Collection[str], given: Collection[str], known: frozenset[str]) -> tuple[str, str] | None:
    """The first that is one of the known names but for its spelling, and that name. One that is given beside it was
    not meant."""
    ignored = IGNORED.get()
    compared = set() if ignored is None else ignored.compared
    for name in unknown:
        if name not in compared:
            if len(compared) == MAX_COMPARED:
                continue
            compared.add(name)
        near = _near(name, known) if len(name) <= MAX_LENGTH else None
        if near is not None and near not in given:
            return name, near
    return None


@lru_cache(maxsize=1024)
def _near(name: str, known: frozenset[str]) -> str | None:
    by_letters = {_letters(each): each for each in sorted(known)}
    if same := by_letters.get(_letters(name)):
        return same
    return next(iter(get_close_matches(name, sorted(known), 1, LIKENESS)), None)


def _letters(name: str) -> str:
    """The same for top_p, top-p and topP."""
    return UNWRITTEN.sub("", name).casefold()
