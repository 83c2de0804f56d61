"""The builds as a page shows them: one look at the disk, which a worker takes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.builds.way import Way, way_for

if TYPE_CHECKING:
    from app.builds.build import Build
    from app.builds.builds import Builds


@dataclass(frozen=True, slots=True)
class BuildsView:
    """names and titles go together, the installed one first. active: the one that is used. idle: why a GPU is not.

    can_make: it would be used if it were built for.
    """

    names: tuple[str, ...]
    titles: tuple[str, ...]
    active: str
    idle: str | None
    can_make: bool

    @property
    def active_title(self) -> str:
        return dict(zip(self.names, self.titles, strict=True)).get(self.active, "LLAMA_CPP_LIB_PATH")


def view_of(builds: "Builds") -> BuildsView:
    found, idle = builds.shelf.builds(), builds.unused()
    can_make = idle is not None and isinstance(way_for(builds.machine), Way)
    return BuildsView(
        tuple(build.name for build in found), tuple(map(title_of, found)), builds.active.name, idle, can_make
    )


def title_of(build: "Build") -> str:
    return "Installed with Slipstream" if build.is_installed else f"{build.made_for or build.kind} ({build.name})"
