"""A reasoning block that the history has lost is told from any other difference."""

import pytest

from backends.prompt_cache.reasoning import drops_reasoning
from backends.prompt_cache.state import common_prefix

HEAD = "user: why?\nassistant: "
ANSWER = "Because the sky scatters blue light."


def drops(held: str, wanted: str) -> bool:
    """Tokens are characters."""
    mine, other = [*held.encode()], [*wanted.encode()]
    return drops_reasoning(mine, other, common_prefix(mine, other), bytes)


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("<think>\n", "</think>\n\n"), ("[THINK]", "[/THINK]"), ("<|channel|>analysis<|message|>", "<|end|>")],
)
def test_a_block_that_is_gone_where_the_prompts_part_is_dropped_reasoning(opening: str, closing: str) -> None:
    held = f"{HEAD}{opening}Rayleigh, I think.{closing}{ANSWER}"
    assert drops(held, f"{HEAD}{ANSWER}\nuser: and red?\nassistant: ")
    assert drops(held, f"{HEAD}\n{ANSWER}\nuser: and red?\nassistant: ")


def test_a_block_that_was_emptied_is_dropped_reasoning() -> None:
    held = f"{HEAD}<think>\nRayleigh.\n</think>\n\n{ANSWER}"
    assert drops(held, f"{HEAD}<think>\n\n</think>\n\n{ANSWER}\nuser: more")


def test_an_answer_that_begins_like_the_mark_is_no_obstacle() -> None:
    assert drops(f"{HEAD}<think>A table.</think><table>", f"{HEAD}<table>\nuser: more")


def test_an_answer_of_one_letter_is_enough() -> None:
    assert drops(f"{HEAD}<think>2 + 2</think>4", f"{HEAD}4\nuser: more")


def test_channels_that_begin_alike_are_no_obstacle() -> None:
    held = (
        "<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Blue."
    )
    assert drops(held, "<|start|>assistant<|channel|>final<|message|>Blue.<|end|><|start|>user")


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        (f"{HEAD}{ANSWER}", f"{HEAD}Another answer."),
        (f"{HEAD}<think>Rayleigh.</think>{ANSWER}", f"{HEAD}Another answer."),
        (f"{HEAD}<think>It was cut off", f"{HEAD}{ANSWER}"),
        (f"{HEAD}<think>It said nothing.</think>", f"{HEAD}{ANSWER}"),
        (f"{HEAD}<think>One.</think>{ANSWER}", f"{HEAD}<think>Two.</think>{ANSWER}"),
        (f"{HEAD}Well. <think>One.</think>{ANSWER}", f"{HEAD}Bad. {ANSWER}"),
        (f"<think>One.</think>{HEAD}{ANSWER}", f"<think>One.</think>{HEAD}Another answer."),
        (f"{HEAD}{ANSWER}", f"{HEAD}<think>One.</think>{ANSWER}"),
    ],
    ids=["no block", "edited behind", "cut off", "no answer", "edited inside", "edited before", "long before", "added"],
)
def test_any_other_difference_is_not_called_that(held: str, wanted: str) -> None:
    assert not drops(held, wanted)
