from app.conversation import Chat, Role, Turn
from app.exchange.markdown import to_markdown

TURNS = (
    Turn(1, Role.USER, "What is *this*?", 0.0),
    Turn(2, Role.ASSISTANT, "\n```py\n  1\n```\n", 0.0, "guide", reasoning="Hm.\n\nWell.", parent=1),
    Turn(3, Role.ASSISTANT, "half", 0.0, "guide", problem="The engine stopped.", parent=1),
    Turn(4, Role.USER, "", 0.0, parent=2),
)


def test_what_is_shown_of_a_chat_is_written_as_it_was_said() -> None:
    chat = Chat("A\ntitle", TURNS, {1: 2})
    assert (
        to_markdown(chat)
        == """# A title

## You

What is *this*?

## Assistant (guide)

> *Reasoning*
>
> Hm.
>
> Well.

```py
  1
```

## You
"""
    )


def test_why_an_answer_broke_off_is_written_too() -> None:
    assert to_markdown(Chat("", TURNS, {1: 3})).endswith("## Assistant (guide)\n\nhalf\n\n*The engine stopped.*\n")
