"""Tells from two prompts whether one is the other without its reasoning, as chat templates drop it from history."""

from collections.abc import Callable

MARKS = (
    (b"<think>", b"</think>"),
    (b"<thinking>", b"</thinking>"),
    (b"<seed:think>", b"</seed:think>"),
    (b"[THINK]", b"[/THINK]"),
    (b"<|channel|>analysis", b"<|end|>"),  # gpt-oss
    (b"<|START_THINKING|>", b"<|END_THINKING|>"),  # command
)
NEAR = 32  # tokens before and behind the difference in which the block must begin
AGREEMENT = 16  # bytes behind the block that must agree, unless one of the prompts ends before


def drops_reasoning(held: list[int], wanted: list[int], shared: int, spell: Callable[[list[int]], bytes]) -> bool:
    """Whether what differs from token `shared` on is a reasoning block that `wanted` has not, or has empty,
    and behind it they agree again. spell: tokens as text, control tokens too."""
    before = spell(held[max(0, shared - NEAR) : shared])
    near = before + spell(held[shared : shared + NEAR])
    marks = next((marks for marks in MARKS if _begins_at(near, marks[0], len(before))), None)
    if marks is None:
        return False
    _, found, rest = spell(held[shared:]).partition(marks[1])
    other = spell(wanted[shared : shared + 4 * NEAR])
    return (
        bool(found)
        and (
            _agree(rest.lstrip(), _without_block(other, *marks), 0)
            # the block and what stands behind it may begin alike: `<|channel|>analysis`, `<|channel|>final`
            or any(_agree(rest.lstrip(), before[i:] + other, len(before) - i) for i in range(len(before)))
        )
    )


def _begins_at(text: bytes, mark: bytes, difference: int) -> bool:
    """Whether the mark stands where the difference is, but for white space between the two."""
    begin = text.rfind(mark, 0, difference + len(mark) + NEAR)
    if begin < 0:
        return False
    end = begin + len(mark)
    return not text[min(begin, difference) : begin].strip() and not text[end : max(end, difference)].strip()


def _agree(mine: bytes, other: bytes, num_shared: int) -> bool:
    """Whether they begin alike, and that beyond the shared bytes."""
    num_bytes = min(len(mine), len(other), num_shared + AGREEMENT)
    return num_bytes > num_shared and mine[:num_bytes] == other[:num_bytes]


def _without_block(text: bytes, opening: bytes, closing: bytes) -> bytes:
    """Behind an empty block, of which a part may lie before the difference."""
    text = text.lstrip().removeprefix(opening).lstrip()
    return text.removeprefix(closing).lstrip()
