"""`slipstream bench` looking back: the runs that there were, two of them compared, and those of other machines."""

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.model_name import find_model
from app.cli.terminal import show
from app.errors import BenchError, UsageError
from backends.bounds import as_name

if TYPE_CHECKING:
    from app.bench.figures import Figures
    from app.bench.history import BenchHistory, Run
    from app.services import Services

MAX_DIGITS = 10  # of a run's number
MAX_NAMED = 40  # characters of a name in the list
COLUMNS = ("RUN", "MEASURED", "TOKENS/S", "MODEL", "BUILD", "MACHINE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    earlier = parser.add_argument_group("earlier runs, without measuring").add_mutually_exclusive_group()
    earlier.add_argument("--history", action="store_true", help="list the runs, of M or of all models")
    compare_help = "two runs beside each other, each a number of --history or a JSON file of another machine"
    earlier.add_argument("--compare", nargs=2, metavar=("A", "B"), help=compare_help)
    import_help = "take the runs of another machine's JSON into the history"
    earlier.add_argument("--import", dest="bring_in", type=Path, metavar="FILE", help=import_help)


def is_wanted(arguments: argparse.Namespace) -> bool:
    return bool(arguments.history or arguments.compare or arguments.bring_in)


def look_back(arguments: argparse.Namespace) -> None:
    """Raises SlipstreamError."""
    from app.paths import Paths
    from app.services import Services

    if arguments.output:
        raise UsageError("--output is for the page of a new run. Redirect what is printed instead.")
    services = Services(Paths.from_environment())
    try:
        history = services.workbench.history
        if arguments.compare:
            _compare(arguments, history)
            return
        if arguments.bring_in:
            runs = history.bring_in(arguments.bring_in)
        else:
            runs = history.runs(_identity(arguments.model, services))
        show(arguments, {"runs": [_described(run) for run in runs]}, lambda: _listed(runs))
    finally:
        services.close()


def _identity(name: str | None, services: "Services") -> str | None:
    """Raises UnknownModelError or ModelFileError."""
    if name is None:
        return None
    from app.lab.make_card import content_identity

    return content_identity(find_model(name, services).path)


def _compare(arguments: argparse.Namespace, history: "BenchHistory") -> None:
    from app.bench.comparing import Difference, to_document, to_markdown

    first, second = (_run_of(text, history) for text in arguments.compare)
    difference = Difference(first, second)
    show(arguments, to_document(difference), lambda: to_markdown(difference))


def _run_of(text: str, history: "BenchHistory") -> "Figures":
    """Raises BenchError."""
    from app.bench.history import read_runs

    if text.isdecimal() and len(text) <= MAX_DIGITS:
        return history.run(int(text)).figures
    if not Path(text).exists():
        raise BenchError(f"{text} is neither a run's number, as “slipstream bench --history” lists them, nor a file.")
    runs = read_runs(Path(text))
    if len(runs) > 1:
        names = ", ".join(dict.fromkeys(run.subject.file for run in runs))
        raise BenchError(f"{text} holds {len(runs)} runs ({names}). Take them in with --import, and name two numbers.")
    return runs[0]


def _described(run: "Run") -> dict[str, object]:
    subject = run.figures.subject
    return {
        "run": run.id,
        "measured": subject.measured,
        "model": subject.name,
        "quantization": subject.quantization,
        "machine": subject.machine,
        "build": subject.build,
        "place": subject.place,
        "tokens_per_second": run.speed,
        "is_trusted": not run.figures.is_busy,
        "is_imported": run.is_foreign,
    }


def _listed(runs: "list[Run]") -> str:
    if not runs:
        return "No run is kept yet. “slipstream bench M” makes one."
    rows = [COLUMNS, *map(_line, runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    )


def _line(run: "Run") -> tuple[str, ...]:
    """A machine that was busy is named: its figures are not to be trusted."""
    subject = run.figures.subject
    speed = "–" if run.speed is None else f"{run.speed:.1f}"
    when = f"{datetime.fromisoformat(subject.measured):%Y-%m-%d %H:%M}"
    names = (as_name(each, MAX_NAMED) for each in (run.title, subject.build, subject.machine))
    return (str(run.id), when, f"{speed} (busy)" if run.figures.is_busy else speed, *names)
