"""Whether a model fits, in one value and one sentence that are the same wherever they are shown."""

from dataclasses import dataclass
from enum import StrEnum

SLOW = 3.0  # tokens a second, below which nobody waits for an answer
GB = 1e9


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


WHERE = {
    (Fits.YES, Place.GPU): ", all of it on the GPU",
    (Fits.WITH, Place.SHARED): ", partly on the GPU",
    (Fits.WITH, Place.RAM): ", without its GPU",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """needed, available: bytes, the number that decides: of the device that is short, or of all of them.

    tokens: a second, None where nothing is known of it.
    """

    fits: Fits
    place: Place
    needed: int
    available: int
    tokens: float | None = None

    @property
    def runs(self) -> bool:
        """In memory."""
        return self.fits is not Fits.NO and self.place is not Place.DISK

    @property
    def sentence(self) -> str:
        if not self.runs:
            too_large = f"Too large: needs about {size(self.needed)}, {size(self.available)} are there"
            return f"{too_large}. From the disk {self._pace}" if self.place is Place.DISK else too_large
        if self.fits is Fits.SLOW:
            return f"Slow here: {self._pace}"
        return f"Runs on this machine{WHERE.get((self.fits, self.place), '')}"

    @property
    def _pace(self) -> str:
        return f"about {pace(self.tokens or 0.0)}"


def pace(tokens: float) -> str:
    """Of an estimate, which claims no more digits than it has."""
    if tokens >= 10:
        return f"{tokens:.0f} tokens/s"
    return f"{tokens:.1f} tokens/s" if tokens >= 0.1 else "less than 0.1 tokens/s"


def size(num_bytes: int) -> str:
    return f"{num_bytes / GB:.1f} GB"
