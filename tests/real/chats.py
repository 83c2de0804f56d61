"""Conversations as people have them, for every chat template there is; and what transformers makes of each."""

from dataclasses import dataclass
from functools import cache

from backends.protocol import Message

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


@dataclass(frozen=True, slots=True)
class Chat:
    messages: tuple[Message, ...]
    continues: bool = False


def chat(*turns: str, continues: bool = False) -> Chat:
    """Turns as `role: text`."""
    return Chat(tuple(Message(*turn.split(": ", 1)) for turn in turns), continues)


CODE = 'def f(x: dict) -> str:\n    """A <b>doc</b>."""\n    return f"{{{x}}}" if x else \'\\n\'  # {% if %} {{ x }}'
LONG = "It was a bright cold day in April, and the clocks were striking thirteen. " * 300
CHATS = {
    "a question": chat("user: Why is the sky blue?"),
    "system and question": chat("system: Be brief.", "user: Why is the sky blue?"),
    "several turns": chat("user: Hi", "assistant: Hello! Well?", "user: What is 2+2?", "assistant: 4", "user: Why?"),
    "system and several turns": chat(
        "system: You are a pirate.", "user: Hi", "assistant: Arr!", "user: Gold?", "assistant: Below.", "user: Go"
    ),
    "an empty answer": chat("user: Hi", "assistant: ", "user: Are you there?"),
    "an empty question": chat("user: ", "assistant: You said nothing.", "user: Right."),
    "two questions in a row": chat("user: Hi", "user: Are you there?"),
    "two answers in a row": chat("user: Hi", "assistant: Hello.", "assistant: How are you?", "user: Fine."),
    "an answer first": chat("assistant: Welcome to the inn.", "user: A room, please."),
    "system, then an answer": chat("system: You keep an inn.", "assistant: Welcome.", "user: A room, please."),
    "system in the middle": chat("user: Hi", "assistant: Hello.", "system: Now speak French.", "user: How are you?"),
    "system at the end": chat("user: Hi", "assistant: Hello.", "system: Now speak French."),
    "two system texts": chat("system: Be brief.", "system: Be kind.", "user: Hi"),
    "system alone": chat("system: Tell a story."),
    "an empty system text": chat("system: ", "user: Hi"),
    "in other scripts": chat("system: Antworte auf Grüßisch. 🙂", "user: 日本語で答えて。 مرحبا 👩‍👩‍👧 e\u0301"),
    "code": chat("user: Explain\n```python\n" + CODE + "\n```", "assistant: " + CODE, "user: {{ messages }}"),
    "blanks around": chat("system:  Be brief. \n", "user: \n\n  Hi  \n", "assistant:  Hello. \n\n", "user:   and?\t\n"),
    "long": chat("system: " + LONG, "user: " + LONG, "assistant: " + LONG, "user: Sum up."),
    "reasoning in an answer": chat("user: 2+2?", "assistant: <think>\nTwo and two.\n</think>\n\n4", "user: Sure?"),
    "markup and JSON": chat('user: {"a": "<b>&amp;\\u00e9"}', "assistant: [1, 2]", "user: <tool_call>{}</tool_call>"),
    "an answer last": chat("user: Write a poem.", "assistant: Roses are"),
    "continued": chat("user: Write a poem.", "assistant: Roses are red,\nviolets", continues=True),
    "continued after system": chat("system: Be brief.", "user: Hi", "assistant: Hel", continues=True),
    "continued from a blank": chat("user: Count.", "assistant: 1, 2, ", continues=True),
    "continued after several turns": chat("user: Hi", "assistant: Ho", "user: Go on", "assistant: And", continues=True),
    "continued from nothing": chat("user: Hi", "assistant: ", continues=True),
    "continued reasoning": chat("user: 2+2?", "assistant: <think>\nTwo and", continues=True),
}  # fmt: skip


@cache
def _transformers():  # type: ignore[no-untyped-def]
    from transformers.utils import chat_template_utils

    return chat_template_utils


def as_transformers(source: str, it: Chat, tokens: dict[str, str] | None = None, as_parts: bool = False) -> str:
    """The text of its apply_chat_template. Raises what it raises."""
    shown = []
    for message in it.messages:
        content = [{"type": "text", "text": message.content}] if as_parts else message.content
        shown.append({"role": message.role, "content": content})
    rendered, _ = _transformers().render_jinja_template(
        conversations=[shown],
        chat_template=source,
        continue_final_message=it.continues,
        add_generation_prompt=not it.continues,
        **(TOKENS if tokens is None else tokens),
    )
    text: str = rendered[0]
    return text
