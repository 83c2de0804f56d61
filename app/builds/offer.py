"""What the set-up offers to build on a machine whose GPU lies idle, and the answer to it, which is kept."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from app.builds.state import State, change, read
from app.builds.way import Obstacle, Way, unused, way_for

if TYPE_CHECKING:
    from app.builds.builds import Builds

LATER = "“slipstream builds --make” does it later"
REFUSED = "no"


class Answer(Enum):
    YES = auto()
    NO = auto()


@dataclass(frozen=True, slots=True)
class Offer:
    """note: keeps the answer "no", or why the build failed, so that nobody is asked at every start."""

    way: Way
    state_file: Path

    @property
    def sentence(self) -> str:
        gpu = self.way.gpu
        return (
            f"The GPU ({gpu.name}) needs an engine build of its own. Slipstream makes it for this card alone, "
            f"{self.way.does}; the CPU's stays beside it. SLIPSTREAM_GPU=no leaves it out."
        )

    @property
    def refused(self) -> str:
        return unused(self.way.gpu, "no build was made for it", LATER)

    def failed(self, why: str) -> str:
        return unused(self.way.gpu, "the build for it failed", f"{why.rstrip('.')}. {LATER}, once that is mended")

    def note(self, answer: str) -> None:
        with suppress(OSError):  # then it is asked once more
            change(self.state_file, self._with(answer))

    def _with(self, answer: str) -> Callable[[State], State]:
        return lambda state: replace(state, offered={**state.offered, self.way.name: answer})


def offer(builds: "Builds") -> "Offer | str | None":
    """None: nothing is missing. A sentence: why nothing can be built, or was not."""
    sentence = builds.unused()
    if sentence is None:
        return None
    way = way_for(builds.machine)
    if way is None or isinstance(way, Obstacle):
        return sentence
    found = Offer(way, builds.state_file)
    answered = read(builds.state_file).offered.get(way.name)
    if answered is None:
        return found
    return found.refused if answered == REFUSED else found.failed(answered)
