"""Which of the builds that are here is used: what the settings say, else the newest that has not failed here."""

from app.builds.build import INSTALLED, Build
from app.builds.shelf import Shelf
from app.builds.sign import key_of
from app.builds.state import State

AUTOMATIC = "auto"  # as a command's word; the settings leave it out


def choose(shelf: Shelf, wanted: str | None, state: State) -> tuple[Build, str | None]:
    """wanted: a name, or None for automatic. And a sentence where it is not the one that was wanted."""
    builds = shelf.builds()
    installed = builds[0]
    if wanted is None:
        sound = [build for build in builds[1:] if _why_not(build, state) is None]
        return (sound[0] if sound else installed), None
    for build in builds:
        if build.name == wanted:
            why_not = _why_not(build, state)
            return (build, None) if why_not is None or build.is_installed else (installed, why_not)
    notice = f"The engine build “{wanted}” of the settings is not here, so the installed one is used."
    return installed, f"{notice} “slipstream builds” lists those that are, “--use” chooses one."


def _why_not(build: Build, state: State) -> str | None:
    if build.report and build.report.problem:
        return f"The engine build “{build.name}” cannot be used. {build.report.problem}"
    return state.rejected.get(key_of(build))


__all__ = ["AUTOMATIC", "INSTALLED", "choose"]
