"""What it costs to bring a state back, learnt from the copies themselves. Knows bytes and seconds."""

from enum import StrEnum
from statistics import median

from backends.median import running_median
from backends.prompt_cache.state import Tier

# the rule until it is measured; per token, 110 M Llama, f16, two cores:
# decoded 1,750 µs, restored 9 µs, read from disk and proven 70-270 µs
MAX_COPIED_PER_GAINED = {Tier.RAM: 16, Tier.DISK: 8}
NUM_FIRST = 3  # copies before their median is believed: the system may interrupt one
SHARE = 0.08  # that one copy may move what is known
MAX_DECLINED = 32  # what is never copied is never measured again: so many times no, and it is learnt anew


class Way(StrEnum):
    SAVE = "save"
    RESTORE = "restore"
    READ = "read"  # from disk, and proven


class CopyCosts:
    """Whether a state pays: its tokens' decoding against its bytes' copying."""

    def __init__(self) -> None:
        self.prompt_token: float | None = None  # seconds to read one token of a prompt, as the engine measures it
        self._first: dict[Way, list[float]] = {way: [] for way in Way}
        self._per_byte: dict[Way, float] = {}
        self._num_declined = 0

    def observe(self, way: Way, num_bytes: int, seconds: float) -> None:
        new = seconds / num_bytes
        if known := self._per_byte.get(way):
            self._per_byte[way] = running_median(known, new, SHARE)
            return
        self._first[way].append(new)
        if len(self._first[way]) == NUM_FIRST:
            self._per_byte[way] = median(self._first[way])
            self._first[way].clear()

    def seconds(self, num_bytes: int, tier: Tier) -> float | None:
        """Expected to bring so many bytes back; None while that is not known."""
        # both are copies of the same bytes: until one is measured, the other stands for it
        copy = self._per_byte.get(Way.RESTORE, self._per_byte.get(Way.SAVE))
        read = self._per_byte.get(Way.READ) if tier is Tier.DISK else 0.0
        return None if copy is None or read is None else (copy + read) * num_bytes

    def saved_seconds(self, gain: int) -> float | None:
        """What so many prompt tokens cost that need not be read; None while that is not known."""
        return None if self.prompt_token is None else gain * self.prompt_token

    def pays(self, gain: int, num_tokens: int, num_bytes: int, tier: Tier) -> bool:
        """Whether `gain` tokens fewer to read are worth a state of so many tokens and bytes."""
        saved, cost = self.saved_seconds(gain), self.seconds(num_bytes, tier)
        if saved is None or cost is None:
            return gain * MAX_COPIED_PER_GAINED[tier] >= num_tokens
        if saved > cost:
            self._num_declined = 0
            return True
        self._num_declined += 1
        if self._num_declined >= MAX_DECLINED:
            self._per_byte.clear()
            self._num_declined = 0
        return False
