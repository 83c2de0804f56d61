"""An answer that goes round in circles is found, and one that does not is left alone."""

import pytest

from app.repetition import STEP, WINDOW, RepetitionWatch, repetition


@pytest.mark.parametrize("piece", ["It is a good day. ", "1. one\n2. two\n", "ha", "x" * 99 + "\n"])
def test_a_piece_said_over_and_over_is_found(piece: str) -> None:
    found = repetition("An answer that began well.\n" + piece * 600)
    assert found
    assert found.length == len(piece)


def test_it_is_found_in_the_middle_of_the_piece() -> None:
    found = repetition("It is a good day. " * 200 + "It is a")
    assert found
    assert found.length == 18


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short " * 20,
        "".join(f"{number}. entry\n" for number in range(400)),
        "| a | b |\n|" + "-" * 200 + "|\n" + "words that go on " * 3,
        ("A paragraph. " * 60 + "\n") + "".join(f"and {number}, " for number in range(300)),
    ],
)
def test_what_goes_on_is_left_alone(text: str) -> None:
    assert repetition(text) is None


def test_a_watch_tells_of_it_once() -> None:
    watch, text, found = RepetitionWatch(), "", []
    for _ in range(3 * WINDOW // 10):
        text += "round and "
        found.append(watch.look(text))
    assert len([each for each in found if each]) == 1


def test_a_watch_looks_only_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr("app.repetition.repetition", lambda text: looks.append(len(text)))
    watch = RepetitionWatch()
    for length in range(0, 10 * STEP, 7):
        watch.look("x" * length)
    assert len(looks) <= 10
