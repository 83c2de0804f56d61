"""What a chat template can take, and a chat made to fit it. Knows no jinja: the template is tried elsewhere, and what
it does with tools is told in chat/form.py."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from backends.chat.form import NO_REASONING, NO_TOOLS, ReasoningForm, ToolForm
from backends.protocol import Message

SYSTEM, USER, ASSISTANT, TOOL = "system", "user", "assistant", "tool"
BREAK = "\n\n"  # between texts that become one turn, as in the templates that fold the system text themselves
FIRST_WORDS = "Hello."  # of a person, where a template wants one to speak first, and to say something
DEAF = (
    "The model's chat template leaves out what people write, so its chats cannot work: choose another file of the"
    " model, or let it complete texts."
)
NOBODY: frozenset[str] = frozenset()
EVERYBODY = frozenset({USER, ASSISTANT})


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """Found by trying the template once. As it stands here, it takes everything."""

    takes_words: bool = True  # False: it leaves out, or replaces, even what a person asks
    takes_system: bool = True  # False: it refuses a system turn, or leaves out what it says
    takes_late_system: bool = True  # one after others
    takes_opening: bool = True  # an answer without a question, first
    alternating: frozenset[str] = NOBODY  # roles of which no two turns may follow each other
    filled: frozenset[str] = NOBODY  # roles whose turns must not be empty
    wants_parts: bool = False  # content as [{"type": "text", "text": …}]
    wants_lists: bool = False  # of tools and documents, if only empty ones
    tools: ToolForm = NO_TOOLS
    reasoning: ReasoningForm = NO_REASONING

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the person who loads the model."""
        if not self.takes_words:
            return (DEAF,)
        if self.takes_system:
            return ()
        return ("The model's chat template takes no system prompt: it is put before your first message.",)


def strictest(form: ChatFormat) -> ChatFormat:
    """For a chat that was refused although each of its turns is taken elsewhere."""
    return replace(
        form,
        takes_system=False,
        takes_late_system=False,
        takes_opening=False,
        alternating=EVERYBODY,
        filled=EVERYBODY,
    )


def fit(messages: Iterable[Message], form: ChatFormat, continues: bool = False) -> tuple[Message, ...]:
    """Of a chat the same words, in turns that the template takes. continues: the last turn stays, even if empty."""
    given = list(messages)
    turns = [turn for turn in given if turn.role not in form.filled or turn.content.strip() or turn.tool_calls]
    if continues and given and (not turns or turns[-1] is not given[-1]):
        turns.append(given[-1])
    turns = list(_folded(_gathered(turns or given, form), form))
    if not form.takes_opening:
        turns = _opened(turns, form)
    return tuple(_joined(turns, form.alternating))


def _gathered(turns: list[Message], form: ChatFormat) -> list[Message]:
    """System turns that lead the chat are one, unless later ones are taken anyway."""
    head = next((at for at, turn in enumerate(turns) if turn.role != SYSTEM), len(turns))
    if head < 2 or form.takes_late_system:
        return turns
    return [Message(SYSTEM, BREAK.join(turn.content for turn in turns[:head])), *turns[head:]]


def _folded(turns: list[Message], form: ChatFormat) -> Iterator[Message]:
    """System texts that are not taken, put before what the person says next."""
    pending: list[str] = []
    for at, turn in enumerate(turns):
        if turn.role == SYSTEM and not (form.takes_late_system if at else form.takes_system):
            pending += [turn.content] if turn.content.strip() else []
        elif turn.role == USER:
            yield Message(USER, BREAK.join([*pending, turn.content])) if pending else turn
            pending = []
        else:
            if pending:
                yield Message(USER, BREAK.join(pending))
            pending = []
            yield turn
    if pending:
        yield Message(USER, BREAK.join(pending))


def _opened(turns: list[Message], form: ChatFormat) -> list[Message]:
    first = next((at for at, turn in enumerate(turns) if turn.role != SYSTEM), None)
    if first is None or turns[first].role != ASSISTANT:
        return turns
    return [*turns[:first], Message(USER, FIRST_WORDS if USER in form.filled else ""), *turns[first:]]


def _joined(turns: list[Message], alternating: frozenset[str]) -> Iterator[Message]:
    last: Message | None = None
    for turn in turns:
        if last and turn.role == last.role and turn.role in alternating and not last.tool_calls:
            text = BREAK.join(text for text in (last.content, turn.content) if text)
            last = replace(turn, content=text, reasoning=turn.reasoning or last.reasoning)
            continue
        if last:
            yield last
        last = turn
    if last:
        yield last
