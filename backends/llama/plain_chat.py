"""A chat for a model that has learnt no chat format: a dialogue as it stands in books and on web pages."""

from backends.llama.chat_format import ASSISTANT, SYSTEM, USER
from backends.llama.rendered import Rendered
from backends.protocol import Message

NAMES = {USER: "User", ASSISTANT: "Assistant"}
# where the model goes on with the dialogue by itself; the blank line belongs to the break, not to the answer
STOPS = tuple(f"{lines}{name}:" for name in NAMES.values() for lines in ("\n\n", "\n"))


def render(messages: tuple[Message, ...], continues: bool = False, tracked: bool = False) -> Rendered:
    """System texts as they are, turns with their speaker's name, and at the end that of the one to speak; in a line of
    its own, or the answer would begin with a blank."""
    pieces: list[str] = []
    said: list[tuple[int, int]] = []
    at = 0

    def write(text: str, is_said: bool = False) -> None:
        nonlocal at
        pieces.append(text)
        if is_said and tracked and text:
            said.append((at, at + len(text)))
        at += len(text)

    for number, message in enumerate(messages):
        is_open = continues and number == len(messages) - 1
        text = message.content.lstrip() if is_open else message.content.strip()
        if not text and not is_open:
            continue
        if message.role != SYSTEM:
            write(f"{NAMES.get(message.role, message.role.capitalize())}:\n")
        write(text, is_said=True)
        write("" if is_open else "\n\n")
    if not continues:
        write(f"{NAMES[ASSISTANT]}:\n")
    return Rendered("".join(pieces), tuple(said))
