"""What drafts gain: the same questions without guesses and with them, in turns."""

from collections.abc import Callable, Iterator

from app.bench.asking import Asking
from app.bench.figures import Comparison, Drafts, Sample
from app.bench.passages import ANSWER, chat, quote
from backends.protocol import DraftMode, EngineOptions, Generate, Timings

NUM_PAIRS = 4
LEARNING_SECONDS = 2.0  # an idle engine measures what its steps cost, before it guesses
MIN_TOKENS = 8  # an answer that ends sooner has no speed
TASKS: dict[str, Callable[..., Generate]] = {"a chat": chat, "a quotation": quote}


def sources(options: EngineOptions) -> dict[str, DraftMode]:
    """Each kind of guess that this model can have, by its name."""
    model = {"draft model": DraftMode.MODEL} if options.draft_model is not None else {}
    return {"look-up": DraftMode.LOOKUP} | model


def guesses_so(options: EngineOptions, mode: DraftMode) -> bool:
    """Whether engines with these options guess in this way alone."""
    has_only_lookup = options.draft is DraftMode.AUTO and options.draft_model is None
    return options.draft is mode or (mode is DraftMode.LOOKUP and has_only_lookup)


def pairs_of(source: str, asking: Asking) -> Iterator[Drafts]:
    """Task by task."""
    asking.rest(LEARNING_SECONDS)
    for task, ask in TASKS.items():
        if drafts := _pairs(source, task, asking, ask):
            yield drafts


def _pairs(source: str, task: str, asking: Asking, ask: Callable[..., Generate]) -> Drafts | None:
    """None where no answer was long enough."""
    plain: list[Timings] = []
    drafted: list[Timings] = []
    for number in range(NUM_PAIRS):
        found: dict[bool, Timings] = {}
        for draft in (False, True) if number % 2 == 0 else (True, False):
            found[draft] = asking.answer(ask(number, ANSWER, draft=draft))
        if min(timings.predicted_n for timings in found.values()) >= MIN_TOKENS:
            plain.append(found[False])
            drafted.append(found[True])
    if not plain:
        return None
    without, within = (Sample(tuple(each.predicted_per_second for each in side)) for side in (plain, drafted))
    num_drafted, num_accepted = sum(t.draft_n for t in drafted), sum(t.draft_accepted_n for t in drafted)
    return Drafts(source, task, Comparison(without, within), num_drafted, num_accepted)
