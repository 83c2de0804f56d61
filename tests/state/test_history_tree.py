"""What a person does to a conversation: nothing that was said is lost but what is deleted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.conversation import Role, Turn
from app.history import History
from app.history_opening import open_history
from backends.protocol import SamplingParams, Timings

SAMPLING = SamplingParams(temperature=0.2, seed=7, logit_bias=((3, -1.5),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chats.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    history = History(path)
    yield history
    history.close()


@pytest.fixture
def talk(history: History) -> list[Turn]:
    """Question, answer, question, answer."""
    chat = history.create("talk").id
    for text in ("Q1", "A1", "Q2", "A2"):
        if text[0] == "Q":
            history.append(chat, Role.USER, text)
        else:
            history.update(
                history.append(chat, Role.ASSISTANT, text, "guide", SAMPLING).id, timings=Timings(prompt_n=3)
            )
    return history.turns(chat)


def shown(history: History, chat: int = 1) -> list[str]:
    return [turn.text for turn in history.turns(chat)]


def test_each_turn_follows_the_last_one_that_is_shown(talk: list[Turn]) -> None:
    assert [turn.parent for turn in talk] == [None, *(turn.id for turn in talk[:-1])]


def test_what_made_an_answer_is_kept_with_it(talk: list[Turn], history: History, path: Path) -> None:
    history.close()
    again, _ = open_history(path)
    assert again.turns(1) == talk
    assert (talk[1].model, talk[1].sampling, talk[1].timings) == ("guide", SAMPLING, Timings(prompt_n=3))
    again.close()


def test_an_edited_question_stands_beside_the_old_one_and_begins_anew(talk: list[Turn], history: History) -> None:
    edited = history.edit(talk[2].id, "Q2, better")
    assert shown(history) == ["Q1", "A1", "Q2, better"]
    assert history.tree(1).siblings(edited.id) == (talk[2].id, edited.id)
    assert not edited.is_edited
    history.append(1, Role.ASSISTANT, "A2, better")
    history.choose(talk[2].id)
    assert history.turns(1) == talk
    history.choose(edited.id)
    assert shown(history) == ["Q1", "A1", "Q2, better", "A2, better"]


def test_a_first_question_can_be_edited_too(talk: list[Turn], history: History) -> None:
    edited = history.edit(talk[0].id, "Q0")
    assert shown(history) == ["Q0"]
    assert history.tree(1).siblings(edited.id) == (talk[0].id, edited.id)
    history.choose(talk[0].id)
    assert history.turns(1) == talk


def test_an_edited_answer_says_so_and_keeps_its_model_but_not_its_figures(talk: list[Turn], history: History) -> None:
    history.update(talk[1].id, stopped=True, problem="It broke.")
    edited = history.edit(talk[1].id, "A1, by hand")
    assert history.turns(1)[-1] == edited
    assert (edited.is_edited, edited.model, edited.timings, edited.stopped, edited.problem) == (
        True,
        "guide",
        None,
        False,
        None,
    )


def test_another_answer_stands_beside_the_first(talk: list[Turn], history: History) -> None:
    again = history.append(1, Role.ASSISTANT, "A2 again", parent=talk[2].id)
    assert shown(history) == ["Q1", "A1", "Q2", "A2 again"]
    assert history.tree(1).siblings(again.id) == (talk[3].id, again.id)
    with pytest.raises(KeyError):
        history.append(1, Role.ASSISTANT, "to nobody", parent=99)
    assert shown(history) == ["Q1", "A1", "Q2", "A2 again"]


def test_a_turn_does_not_follow_one_of_another_conversation(talk: list[Turn], history: History) -> None:
    other = history.create("other").id
    with pytest.raises(KeyError):
        history.append(other, Role.USER, "x", parent=talk[0].id)
    assert shown(history, other) == []


def test_a_deleted_turn_leaves_what_followed_it(talk: list[Turn], history: History) -> None:
    other = history.append(1, Role.USER, "Q2, other", parent=talk[1].id)
    history.choose(talk[2].id)
    history.delete_turn(talk[1].id)
    assert shown(history) == ["Q1", "Q2", "A2"]
    assert history.tree(1).siblings(other.id) == (talk[2].id, other.id)
    history.delete_turn(talk[0].id)
    assert shown(history) == ["Q2", "A2"]
    history.delete_turn(talk[3].id)
    assert shown(history) == ["Q2"]
    with pytest.raises(KeyError):
        history.delete_turn(talk[3].id)


def test_a_deleted_tail_takes_its_branches_along_and_leaves_those_beside(talk: list[Turn], history: History) -> None:
    history.edit(talk[2].id, "Q2, better")
    again = history.append(1, Role.ASSISTANT, "A1 again", parent=talk[0].id)
    history.delete_turns_from(talk[1].id)
    assert list(history.tree(1)) == [talk[0].id, again.id]
    history.delete_turns_from(again.id)
    assert shown(history) == ["Q1"]


def test_a_copy_has_all_branches_and_shows_the_same(talk: list[Turn], history: History) -> None:
    history.edit(talk[2].id, "Q2, better")
    history.choose(talk[2].id)
    history.move(1, "Work")
    history.pin(1, True)
    copy = history.duplicate(1)
    assert (copy.title, copy.folder, copy.is_pinned) == ("talk (copy)", "Work", False)
    assert shown(history, copy.id) == shown(history) == ["Q1", "A1", "Q2", "A2"]
    assert len(list(history.tree(copy.id))) == len(list(history.tree(1))) == 5
    assert history.turns(copy.id)[1] == replace(talk[1], id=7, parent=6)
    history.delete(1)
    assert shown(history, copy.id) == ["Q1", "A1", "Q2", "A2"]


def test_a_branch_begins_with_what_led_to_a_turn(talk: list[Turn], history: History) -> None:
    branch = history.branch(talk[1].id)
    assert shown(history, branch.id) == ["Q1", "A1"]
    history.append(branch.id, Role.USER, "elsewhere")
    assert shown(history) == ["Q1", "A1", "Q2", "A2"]


def test_folder_pin_and_mark_are_kept_and_leave_the_order(history: History, path: Path) -> None:
    first, second = history.create("first"), history.create("second")
    history.move(first.id, "  Work ")
    history.pin(first.id, True)
    history.mark(second.id, True)
    history.close()
    again, _ = open_history(path)
    infos = again.conversations()
    assert [(info.title, info.folder, info.is_pinned, info.is_unread) for info in infos] == [
        ("second", None, False, True),
        ("first", "Work", True, False),
    ]
    again.move(first.id, " ")
    again.pin(first.id, False)
    again.mark(second.id, False)
    assert again.conversations() == [second, first]
    with pytest.raises(KeyError):
        again.move(99, "Work")
    with pytest.raises(KeyError):
        again.pin(99, True)
    again.close()


def test_an_answer_can_be_gone_on_with(talk: list[Turn], history: History) -> None:
    history.update(talk[3].id, text="A2, and more", reasoning="Hm.")
    last = history.turns(1)[-1]
    assert (last.text, last.reasoning, last.sampling) == ("A2, and more", "Hm.", SAMPLING)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("is_tail", [False, True])
def test_what_was_deleted_can_be_put_back_as_it_was(
    number: int, is_tail: bool, talk: list[Turn], history: History
) -> None:
    history.append(1, Role.ASSISTANT, "A1 again", parent=talk[0].id)
    history.edit(talk[2].id, "Q2, better")
    history.choose(talk[3].id)
    before, found = history.chat(1), history.find("a1")
    removed = (history.delete_turns_from if is_tail else history.delete_turn)(talk[number].id)
    assert len(list(history.tree(1))) == len(before.turns) - len(removed.turns)
    history.put_back(removed)
    assert history.chat(1).turns == before.turns
    assert history.turns(1) == talk
    assert history.find("a1") == found


def test_what_has_no_place_any_more_is_not_put_back(talk: list[Turn], history: History) -> None:
    last = history.delete_turn(talk[3].id)
    tail = history.delete_turns_from(talk[2].id)
    with pytest.raises(KeyError):
        history.put_back(last)
    history.put_back(tail)
    history.put_back(last)
    assert history.turns(1) == talk
    history.delete(1)
    with pytest.raises(KeyError):
        history.put_back(tail)
    assert history.conversations() == []
