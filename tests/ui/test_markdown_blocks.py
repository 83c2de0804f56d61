"""Where growing Markdown may be cut."""

import pytest

from ui.markdown.blocks import MAX_RUN, cut, hard_wrap


@pytest.mark.parametrize(
    ("text", "frozen"),
    [
        ("one", ""),
        ("one\n\ntwo", ""),  # the line may still become something else
        ("one\n\ntwo\n", "one\n\n"),
        ("one\n\n- a\n\n- b\n\nend\n", "one\n\n- a\n\n- b\n\n"),
        ("- a\n\n  more\n\n- b\n", ""),
        ("a\n```py\nx = 1\n\ny = 2\n", "a\n"),
        ("a\n```py\nx = 1\n```\n", "a\n```py\nx = 1\n```\n"),
        ("1. a\n   ```py\n   x\n   ```\n2. b\n", ""),
    ],
)
def test_only_what_cannot_change_any_more_is_frozen(text: str, frozen: str) -> None:
    assert text[: cut(text).frozen] == frozen


def test_an_open_fence_is_named() -> None:
    text = "look:\n\n```python\nx = 1\n"
    fence = cut(text).fence
    assert fence
    assert fence.language == "python"
    assert text[fence.start :] == "x = 1\n"


def test_a_shorter_fence_inside_does_not_close() -> None:
    assert cut("````\n```\n").fence
    assert cut("````\n```\n````\n").fence is None


def test_long_runs_are_broken_and_stay_a_prefix() -> None:
    text = "word " + "x" * 5 * MAX_RUN + " end"
    whole = hard_wrap(text)
    assert max(map(len, whole.split())) == MAX_RUN
    assert all(whole.startswith(hard_wrap(text[:end])) for end in range(0, len(text), 37))


def test_scripts_without_spaces_are_left_alone() -> None:
    text = "流" * 5 * MAX_RUN
    assert hard_wrap(text) == text
