"""The saved state of a slot, and where the beginning of a prompt came from. Knows tokens and bytes, no files."""

from dataclasses import dataclass
from enum import StrEnum

from backends.protocol import CacheMiss

Payload = bytearray | memoryview


class Tier(StrEnum):
    RESIDENT = "resident"
    RAM = "ram"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Reuse:
    """miss None: all of the prompt was there but its last token, which is decoded for its logits."""

    length: int = 0
    tier: Tier = Tier.RESIDENT
    miss: CacheMiss | None = None


@dataclass(eq=False, slots=True)
class State:
    """What a slot held: its tokens, and the bytes that let another slot hold them again."""

    tokens: list[int]
    payload: Payload
    num_uses: int = 0
    num_spared: int = 0  # times that others had to go instead, since its last use

    @property
    def num_bytes(self) -> int:
        return len(self.payload) + 8 * len(self.tokens)

    @property
    def worth(self) -> float:
        """Tokens that need not be decoded if it is wanted again: likelier if it was before, less so with age."""
        return len(self.tokens) * (1 + self.num_uses) / (1 + self.num_spared)


def stands_for(tokens: list[int], other: list[int], can_truncate: bool, tolerance: int) -> bool:
    """Whether a state of `tokens` makes one of `other` needless: it holds the same but for `tolerance` tokens at the
    end. So the turns of a conversation, each a little different at its end, leave one state and not one each."""
    if not can_truncate:  # a longer state cannot be cut back
        return tokens == other
    return other == tokens or common_prefix(tokens, other) > len(other) - max(1, tolerance)


def common_prefix(a: list[int], b: list[int]) -> int:
    """Length of the common prefix, by doubling, then halving: slices compare at C speed, a Python loop does not."""
    end = min(len(a), len(b))
    low, high = 0, min(64, end)
    while a[low:high] == b[low:high]:
        if high == end:
            return end
        low, high = high, min(2 * high, end)
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low
