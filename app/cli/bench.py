"""`slipstream bench`: what a model does on this machine, measured and told in words; and earlier runs."""

import argparse
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli import bench_history
from app.cli.ending import ending
from app.cli.engine_options import add_engine_options, engine_options
from app.cli.model_name import find_model
from app.cli.target import add_force, require_free
from app.cli.terminal import say, say_json, warn
from app.errors import Cancelled, EngineError, SlipstreamError, UsageError
from backends.bounds import printable
from backends.protocol import EngineOptions

if TYPE_CHECKING:
    from app.bench.bench import Bench
    from app.bench.figures import Figures
    from app.cli.progress import ProgressLine
    from app.library.entry import ModelEntry
    from app.services import Services

LOOK_SECONDS = 0.1
NO_MODEL = "There is no model here yet, so the guide that comes with Slipstream is measured."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", metavar="M", help="a model's id or a GGUF file (all of the library)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the page is written (Slipstream's data)")
    add_force(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object with all figures, and no page")
    bench_history.add_arguments(parser)
    add_engine_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Raises SlipstreamError. What was measured before Ctrl+C is shown; only a whole run is kept."""
    from app.cli.progress import ProgressLine
    from app.paths import Paths
    from app.services import Services

    engine_options(arguments, EngineOptions())  # a wrong flag is told before anything starts
    if bench_history.is_wanted(arguments):
        bench_history.look_back(arguments)
        return 0
    if arguments.output:
        require_free(arguments.output.absolute(), is_forced=arguments.force)
    asked, line = ending(), ProgressLine()
    services = Services(Paths.from_environment())
    found: list[Figures] = []
    try:
        with _entries(arguments.model, services, asked) as entries:
            if arguments.output and len(entries) > 1:
                raise UsageError("--output is for one model: name it.")
            return _measure_all(arguments, services, entries, line, asked, found)
    finally:
        line.close()
        services.close()
        if arguments.json and found:
            from app.bench.history import document

            say_json(document(found))


@contextmanager
def _entries(name: str | None, services: "Services", asked: threading.Event) -> "Iterator[list[ModelEntry]]":
    """The one that is named, else all of the library, else the guide. Raises UnknownModelError or ModelFileError."""
    with ExitStack() as stack:
        entries = [find_model(name, services)] if name else [e for e in services.library.models() if e.is_offered]
        if not entries:
            warn(NO_MODEL)
            entries = [stack.enter_context(_guide(services, asked))]
        yield entries


@contextmanager
def _guide(services: "Services", asked: threading.Event) -> "Iterator[ModelEntry]":
    """In a folder that goes with it: to measure is not to install. Raises EngineError or Cancelled."""
    from app.guide import DRAFT_DIR, GUIDE_DIR, GUIDE_NAME
    from app.jobs.install_guide import InstallGuide
    from app.jobs.leftovers import bench
    from app.paths import Paths

    workshops = bench(services.paths.cache)
    workshops.clear()
    workshop = workshops.make()
    try:
        handle = services.jobs.add(InstallGuide(Paths.below(workshop.path), GUIDE_DIR, DRAFT_DIR, GUIDE_NAME))
        while not handle.finished.wait(LOOK_SECONDS):
            if asked.is_set():
                raise Cancelled("Stopped.")
        if handle.result is None:
            raise EngineError(f"The guide could not be made: {handle.job.error}")
        yield handle.result
    finally:
        workshop.remove()


def _measure_all(
    arguments: argparse.Namespace,
    services: "Services",
    entries: "list[ModelEntry]",
    line: "ProgressLine",
    asked: threading.Event,
    found: "list[Figures]",
) -> int:
    """The exit code. What a model cannot do keeps no other from being measured."""
    code = 0
    for number, entry in enumerate(entries, 1):
        count = f" ({number} of {len(entries)})" if len(entries) > 1 else ""
        bench = _bench(arguments, services, entry, line, f"Measuring {printable(entry.name)}{count}", asked)
        try:
            bench.run()
        except Cancelled:
            raise
        except SlipstreamError as error:
            if len(entries) == 1:
                raise
            warn(f"{entry.full_name}: {error}")
            code = 1
        finally:
            line.close()
            if bench.figures:
                found.append(bench.figures)
                _tell(arguments, services, entry, bench.figures)
    return code


def _bench(
    arguments: argparse.Namespace,
    services: "Services",
    entry: "ModelEntry",
    line: "ProgressLine",
    title: str,
    asked: threading.Event,
) -> "Bench":
    options = engine_options(arguments, services.options_for(entry))
    return services.workbench.bench(entry, lambda doing, done: line.tell(f"{title}: {doing}", done, ""), asked, options)


def _tell(arguments: argparse.Namespace, services: "Services", entry: "ModelEntry", figures: "Figures") -> None:
    """And keep it, if it is whole. Raises OSError or BenchError; it is shown before."""
    from app.bench.page import page

    text = page(figures)
    if not arguments.json:
        say(text)
    if not figures.is_whole:
        warn("The run was not whole, so nothing of it is kept")
        return
    run = services.workbench.history.add(figures)
    warn(f"This is run {run.id}. The page is {_write(arguments, services, entry, figures, text)}")


def _write(
    arguments: argparse.Namespace, services: "Services", entry: "ModelEntry", figures: "Figures", text: str
) -> Path:
    """Where the page is. Raises OSError."""
    from app.whole_file import replace_file
    from backends.ownership.files import write_whole

    moment = datetime.fromisoformat(figures.subject.measured)
    file = arguments.output or services.paths.benchmarks / f"{_file_name(entry.id)} {moment:%Y-%m-%d %H.%M.%S}.md"
    if arguments.output:
        write_whole(file.absolute(), text.encode("utf-8", "replace"), mode=0o666)
    else:
        replace_file(file, text.encode("utf-8", "replace"))
    return file


def _file_name(id_: str) -> str:
    name = Path(id_).name if Path(id_).is_absolute() else id_  # the page may be shown, whose folder it was need not
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)[:80]
