"""Whether a model fits, in one value and one sentence that are the same wherever they are shown."""

from dataclasses import dataclass
from enum import StrEnum

SLOW = 3.0  # tokens a second, below which nobody waits for an answer
LEAST = 0.1  # that is told as a number


class Fits(StrEnum):
    YES = "fits"
    WITH = "fits with"  # not all of it where it is fastest, or not as it was asked for
    SLOW = "slow"
    NO = "no"


class Place(StrEnum):
    GPU = "gpu"
    SHARED = "shared"  # some of it on the GPU, the rest in RAM
    RAM = "ram"
    DISK = "disk"  # more than there is memory for: read anew for each token
    NOWHERE = "nowhere"


class Holder(StrEnum):
    """Whose memory the numbers are of, as a sentence names it."""

    RAM = "RAM"
    GPU = "the GPU"
    ALL = "this machine"


@dataclass(frozen=True, slots=True)
class Verdict:
    """needed, available: bytes, the number that decides: of `holder`, where it fits or where it is short.

    tokens: a second, None where nothing is known of it. how: what it fits with, where it does not fit as it is.
    """

    fits: Fits
    place: Place
    needed: int
    available: int
    holder: Holder = Holder.ALL
    tokens: float | None = None
    how: str = ""

    @property
    def runs(self) -> bool:
        """In memory."""
        return self.fits is not Fits.NO and self.place is not Place.DISK

    @property
    def sentence(self) -> str:
        """Without a full stop."""
        taken = _of(self.needed, self.available)
        lacking = f"{self.holder} has {_of(self.available, self.needed)}"
        match self.fits:
            case Fits.YES:
                return f"Fits {'in' if self.holder is Holder.RAM else 'on'} {self.holder}: {taken}"
            case Fits.WITH:
                return f"Fits with {self.how}: {lacking}"
            case Fits.SLOW if self.place is Place.DISK:
                return f"Slow, {about(self.tokens)} from the disk: {lacking}"
            case Fits.SLOW:
                where = " on the CPU" if self.place is Place.RAM else ""
                return f"Slow, {about(self.tokens)}{where}: {taken}"
        return f"Does not fit: {lacking}"


def about(tokens: float | None) -> str:
    """As an estimate is told."""
    return f"about {pace(tokens)}" if tokens and tokens >= LEAST else pace(tokens or 0.0)


def pace(tokens: float) -> str:
    """Of an estimate, which claims no more digits than it has."""
    if tokens >= 10:
        return f"{tokens:.0f} tokens/s"
    return f"{tokens:.1f} tokens/s" if tokens >= LEAST else f"less than {LEAST} tokens/s"


def _of(part: int, whole: int) -> str:
    """In one unit."""
    unit, name, digits = (1e9, "GB", 1) if max(part, whole) >= 1e9 else (1e6, "MB", 0)
    return f"{part / unit:.{digits}f} of {whole / unit:.{digits}f} {name}"


def size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB"
