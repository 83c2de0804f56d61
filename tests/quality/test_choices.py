"""Multiple-choice items: what is read, what is refused, and what the answers are worth."""

from collections.abc import Callable, Sequence

import pytest

from app.lab.text import SHIPPED_CHOICES
from backends.quality.choices import BadItems, Item, answer, judge, read_items
from backends.quality.stages import Stages

ITEM = ["A cat", "2", "flies.", "is a fish.", "purrs.", "barks."]


def test_the_shipped_items_are_many_balanced_and_of_similar_length() -> None:
    items = read_items(SHIPPED_CHOICES.read_text("utf-8"))
    assert len(items) >= 200
    assert {sum(item.right == place for item in items) for place in range(4)} == {len(items) // 4}
    assert len({item.beginning for item in items}) == len(items)
    assert 0.10 < right_by_length(items, min) < right_by_length(items, max) < 0.40  # a quarter is what lot would give
    topics = {item.beginning.partition(":")[0] for item in items}
    assert len(topics) > 25
    for item in items:
        lengths = sorted(map(len, item.endings))
        assert lengths[-1] < 2 * lengths[0] + 8, item


def right_by_length(items: Sequence[Item], best: Callable[[list[int]], int]) -> float:
    """How often whoever takes the longest, or the shortest, ending is right; of equal ones any."""
    total = 0.0
    for item in items:
        lengths = [len(ending) for ending in item.endings]
        total += (lengths[item.right] == best(lengths)) / lengths.count(best(lengths))
    return total / len(items)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (ITEM * 10 + ["one more"], "has 6 lines for each item"),
        (ITEM * 9, "10 to 20,000 items; this one has 54 lines"),
        (["A cat", "4", *ITEM[2:]] * 10, "Line 2 should be the number of the right ending, 0 to 3, not '4'"),
        (["A cat", "x" * 50, *ITEM[2:]] * 10, "not 'xxxxxxxxxxxxxxxxxxxx'"),
        (["", *ITEM[1:]] * 10, "Line 1 begins an item with an empty line"),
        (["A" * 5000, *ITEM[1:]] * 10, "or one of over 4,000 characters"),
        ([*ITEM[:5], "purrs."] * 10, "Two of the endings after line 2 are the same"),
    ],
)
def test_what_is_no_such_file_is_refused(lines: list[str], words: str) -> None:
    with pytest.raises(BadItems, match=words):
        read_items("\n".join(lines))


def test_lines_may_end_as_windows_ends_them() -> None:
    (first, *_) = read_items("\r\n".join(ITEM * 10) + "\r\n")
    assert (first.right, first.endings[3]) == (2, "barks.")


def test_the_first_of_the_best_is_the_answer_and_its_interval_is_wilsons() -> None:
    assert answer([-2.0, -1.0, -1.0, -3.0]).chosen == 1
    items = read_items("\n".join(ITEM * 10))
    right, wrong = answer([-2, -2, -1, -2]), answer([-1, -2, -2, -2])
    found = judge(items, [right] * 8 + [wrong] * 2, [right] * 9 + [wrong], 1.0)
    assert (found.accuracy, found.reference_accuracy, found.same_answers) == (0.8, 0.9, 0.9)
    assert (found.low, found.high) == pytest.approx(
        (0.4902, 0.9433), abs=1e-4
    )  # as llama-perplexity prints for 8 of 10
    assert judge(items, [right] * 10, None, 1.0).reference_accuracy is None


def test_stages_share_the_progress() -> None:
    stages = Stages([1, 2, 1])
    assert [stages.next() for _ in range(3)] == [(0, 0.25), (0.25, 0.75), (0.75, 1)]
