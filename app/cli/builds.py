"""`slipstream builds`: lists the engine builds, makes one for this machine's GPU, chooses, removes."""

import argparse
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.cli.terminal import say, show, warn

if TYPE_CHECKING:
    from app.builds.build import Build
    from app.builds.builds import Builds
    from app.builds.way import Way
    from app.paths import Paths

CONSENT = "SLIPSTREAM_GPU"  # yes or no: the answer to the question below, for all who are not asked
EXIT_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--make", action="store_true", help="build llama.cpp for this machine's GPU; takes minutes")
    parser.add_argument("--offer", action="store_true", help="the same, if it is not here, asked first and only once")
    parser.add_argument("--use", metavar="NAME", help="use this build from now on; “auto”: the newest that does well")
    parser.add_argument("--remove", metavar="NAME", help="remove a build from the disk")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.builds.builds import Builds
    from app.jobs.make_build import wanted_way
    from app.paths import Paths
    from app.settings_file import SettingsFile

    paths = Paths.from_environment()
    paths.ensure()
    file = SettingsFile(paths.settings_file)
    builds = Builds(paths.builds, paths.builds_state_file, paths.logs, lambda: file.load()[0].engine_build)
    if arguments.offer:
        return _offer(builds, paths)
    if arguments.make:
        _make(wanted_way(builds.machine), builds, paths)
    if arguments.remove:
        builds.shelf.remove(arguments.remove)
    if arguments.use:
        _use(arguments.use, builds, file)
    notice = builds.start()
    if notice:
        warn(notice)
    show(arguments, _document(builds), lambda: _table(builds))
    return 0


def _offer(builds: "Builds", paths: "Paths") -> int:
    """For the set-up: silent where there is nothing to make; never fails, for all works on the CPU."""
    from app.builds.offer import Answer, offer
    from app.errors import Cancelled, SlipstreamError

    found = offer(builds)
    if found is None:
        return 0
    if isinstance(found, str):
        warn(found)
        return 0
    say(found.sentence)
    answer = _consent()
    if answer is Answer.NO:
        found.note("no")
        warn(found.refused)
        return 0
    try:
        _make(found.way, builds, paths)
    except Cancelled:
        raise
    except SlipstreamError as error:
        found.note(str(error))
        warn(found.failed(str(error)))
    return 0


def _consent() -> Any:
    from app.builds.offer import Answer

    said = os.environ.get(CONSENT, "").casefold()
    if said in ("no", "off", "0"):
        return Answer.NO
    if said or not _is_terminal():
        return Answer.YES  # as with the rest of the set-up, which asks nobody either
    try:
        return Answer.NO if input("Build it now? [Y/n] ").strip().casefold().startswith("n") else Answer.YES
    except EOFError:
        return Answer.NO


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _make(way: "Way", builds: "Builds", paths: "Paths") -> None:
    """With a line of progress. Raises BuildError or Cancelled."""
    from importlib.metadata import version

    from app.cli.ending import ending
    from app.cli.progress import ProgressLine
    from app.jobs.job import JobContext
    from app.jobs.make_build import BINDING, MakeBuild
    from backends.child import Progress

    work = MakeBuild(way, builds.shelf, builds.trial, paths, version(BINDING))
    line = ProgressLine()

    def report(index: int, progress: Progress) -> None:
        line.tell(f"{work.steps[index]} ({index + 1} of {len(work.steps)})", progress.fraction, progress.text)

    try:
        build = work.run(JobContext(report, ending()))
    finally:
        line.close()
    warn(f"The engine build “{build.name}” is made; before the first load it is tried against the one before.")


def _use(name: str, builds: "Builds", file: Any) -> None:
    """Raises BuildError for a name that is not there, or SettingsError."""
    from app.builds.choice import AUTOMATIC

    wanted = None if name == AUTOMATIC else builds.shelf.find(name).name
    file.change(lambda settings: replace(settings, engine_build=wanted))
    builds.forget_rejection(wanted)


def _document(builds: "Builds") -> dict[str, Any]:
    return {"builds": [_row(build, builds) for build in builds.shelf.builds()], "active": builds.active.name}


def _row(build: "Build", builds: "Builds") -> dict[str, Any]:
    from app.builds.sign import libraries_of
    from backends.gpu_libraries import gpu_kind

    folder = libraries_of(build)
    return {
        "name": build.name,
        "kind": build.kind or gpu_kind(folder) or "cpu",
        "made_for": build.made_for or None,
        "made_at": build.made_at or None,
        "folder": str(folder) if folder else None,
        "is_active": build.name == builds.active.name,
        "problem": builds.why_rejected(build),
    }


def _table(builds: "Builds") -> str:
    rows = [("BUILD", "FOR", "MADE", "")]
    for build in builds.shelf.builds():
        row = _row(build, builds)
        state = "used" if row["is_active"] else "does not do well here" if row["problem"] else ""
        rows.append((row["name"], row["made_for"] or row["kind"], (row["made_at"] or "with Slipstream")[:16], state))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    unused = builds.unused()
    return "\n".join([*lines, "", unused] if unused else lines)
