"""One answer on its way to the terminal, piece by piece, and how it ended."""

from dataclasses import dataclass
from queue import Empty, SimpleQueue

from app.cli.talk.interrupts import Interrupts
from app.cli.terminal import stream
from app.errors import EngineError, RequestError
from app.inference.engine_handle import EngineHandle
from backends.protocol import Failed, Finish, Generate, Output, Timings

LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Said:
    """problem: the sentence of what broke it off. finish: None only then, and not always. limit: so many tokens were
    asked for."""

    text: str
    finish: Finish | None = None
    timings: Timings | None = None
    problem: str | None = None
    limit: int | None = None


def answer(handle: EngineHandle, request: Generate, interrupts: Interrupts, *, is_shown: bool = True) -> Said:
    """Returns once it has ended, by itself or by Ctrl+C. Raises nothing of the engine's."""
    events: SimpleQueue[Output | Failed] = SimpleQueue()
    try:
        uid = handle.submit(request, events.put)
    except (EngineError, RequestError) as error:
        return Said("", problem=str(error))
    pieces: list[str] = []
    timings, is_called_off = None, False
    while True:
        if interrupts.stop.is_set() and not is_called_off:
            is_called_off = True
            handle.abort(uid)
        try:
            event = events.get(timeout=LOOK_SECONDS)
        except Empty:
            continue
        if isinstance(event, Failed):
            return Said("".join(pieces), timings=timings, problem=event.message)
        pieces.append(event.text)
        timings = event.timings or timings
        if is_shown:
            stream(event.text)
        if event.finish:
            return Said("".join(pieces), event.finish, timings, event.problem, request.max_tokens)


def told_of_limit(said: Said, context: int) -> str:
    """Which limit has ended an answer, and what lifts it. context: of the model as loaded, in tokens."""
    num_tokens = said.timings.predicted_n if said.timings else 0
    if said.limit is not None and num_tokens >= said.limit:
        return f"The answer ends after {num_tokens:,} tokens, as max_tokens says; a larger max_tokens lets it go on."
    return (
        f"The context of {context:,} tokens is full. /reset begins anew; --context N at the start makes room for more."
    )


def told(timings: Timings) -> str:
    """The line of figures below an answer."""
    drafts = f" · {timings.draft_accepted_n} of {timings.draft_n} drafts accepted" if timings.draft_n else ""
    return (
        f"{timings.predicted_n} tokens · {timings.predicted_per_second:.1f} tokens/s · "
        f"first token after {timings.first_token_ms:.0f} ms · "
        f"{timings.cache_n} of {timings.cache_n + timings.prompt_n} prompt tokens reused{drafts}"
    )
