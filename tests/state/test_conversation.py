from app.conversation import Role, Turn, title_from, to_messages
from backends.protocol import Message

TURNS = (
    Turn(1, Role.USER, "Hi", 0.0),
    Turn(2, Role.ASSISTANT, "", 0.0, problem="The engine stopped."),
    Turn(3, Role.ASSISTANT, "Hello", 0.0, stopped=True),
)


def test_an_answer_that_never_began_is_not_sent() -> None:
    assert to_messages(TURNS, "") == (Message("user", "Hi"), Message("assistant", "Hello"))


def test_the_system_prompt_comes_first_unless_it_is_blank() -> None:
    assert to_messages(TURNS, "Be brief.")[0] == Message("system", "Be brief.")
    assert to_messages(TURNS, " \n")[0] == Message("user", "Hi")


def test_a_title_is_one_short_line_cut_at_a_word() -> None:
    assert title_from("  What\n is\tthis? ") == "What is this?"
    title = title_from("one two, " * 20)
    assert title.endswith(", one…")
    assert len(title) <= 61
    assert len(title_from("x" * 500)) == 61
