"""Runs of the benchmark over time, in SQLite: of this machine, and of others whose JSON was brought in. All whole.

Thread-safe: each call opens the file for itself; runs are minutes apart.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.bench.figures import Figures
from app.bench.tuned import Purpose, Tuned
from app.errors import BenchError
from app.exact_json import exact_json
from app.own_database import (
    NewerDatabase,
    NotOurDatabase,
    check_schema,
    connect_privately,
    is_damage,
    set_database_aside,
)
from app.shaped import shaped
from app.whole_file import changing_file, reason
from backends.regular_file import read_regular

FIRST = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kept REAL NOT NULL,
    identity TEXT NOT NULL,
    is_foreign INTEGER NOT NULL,
    figures TEXT NOT NULL
) STRICT;
CREATE INDEX run_identity ON run (identity);
CREATE TABLE tuning (
    identity TEXT NOT NULL,
    purpose TEXT NOT NULL,
    kept REAL NOT NULL,
    tuned TEXT NOT NULL,
    PRIMARY KEY (identity, purpose)
) STRICT, WITHOUT ROWID;
"""
MIGRATIONS = (FIRST,)  # the next version's script goes behind it
MAX_RUNS = 500  # that are kept; the oldest leave
MAX_TUNINGS = 200
MAX_FIGURES = 1 << 18  # bytes of one run
MAX_FILE = 16 << 20  # bytes of a file that is brought in
MAX_BROUGHT = 100  # runs of one file
PATIENCE = 5.0  # seconds to wait for another Slipstream that writes
FORMAT = "slipstream-bench"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Run:
    """id: counted up on this machine. is_foreign: it was brought in from a file."""

    id: int
    figures: Figures
    is_foreign: bool = False

    @property
    def title(self) -> str:
        subject = self.figures.subject
        return f"{subject.name} {subject.quantization}".rstrip()

    @property
    def speed(self) -> float | None:
        """Tokens per second of one answer to a short question."""
        return next((each.speed.median for each in self.figures.answers if not each.depth), None)


class BenchHistory:
    """Everything raises BenchError when the disk does not take it or give it back."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time):
        self._path, self._clock = path, clock

    def add(self, figures: Figures, *, is_foreign: bool = False) -> Run:
        """Raises BenchError for a run that is not whole, too."""
        if not figures.is_whole:
            raise BenchError("This run was stopped, and only whole ones are kept.")
        text = json.dumps(asdict(figures))
        if len(text) > MAX_FIGURES:
            raise BenchError("This run has more figures than any that Slipstream makes.")
        with self._open() as database:
            values = (self._clock(), figures.subject.identity, is_foreign, text)
            insert = "INSERT INTO run (kept, identity, is_foreign, figures) VALUES (?, ?, ?, ?)"
            number = database.execute(insert, values).lastrowid
            database.execute(
                "DELETE FROM run WHERE id NOT IN (SELECT id FROM run ORDER BY id DESC LIMIT ?)", (MAX_RUNS,)
            )
        assert number is not None
        return Run(number, figures, is_foreign)

    def runs(self, identity: str | None = None) -> list[Run]:
        """Newest first: all, or those of one file's content."""
        which = "" if identity is None else "WHERE identity = ?"
        query = f"SELECT id, is_foreign, figures FROM run {which} ORDER BY id DESC LIMIT {MAX_RUNS}"
        with self._open() as database:
            rows = database.execute(query, () if identity is None else (identity,)).fetchall()
        return [run for row in rows if (run := _run(*row))]

    def run(self, number: int) -> Run:
        """Raises BenchError for a number that no run has."""
        with self._open() as database:
            row = database.execute("SELECT id, is_foreign, figures FROM run WHERE id = ?", (number,)).fetchone()
        if row is None or (run := _run(*row)) is None:
            raise BenchError(f"There is no run {number}. “slipstream bench --history” lists them.")
        return run

    def remove(self, number: int) -> None:
        with self._open() as database:
            database.execute("DELETE FROM run WHERE id = ?", (number,))

    def bring_in(self, file: Path) -> list[Run]:
        """The runs of another machine's JSON. Raises BenchError for what is none."""
        found = read_runs(file)
        known = {(run.figures.subject.machine, run.figures.subject.measured) for run in self.runs()}
        new = [each for each in found if (each.subject.machine, each.subject.measured) not in known]
        if not new:
            raise BenchError(f"All runs of {file.name} are in the history already.")
        return [self.add(each, is_foreign=True) for each in new]

    def keep_tuned(self, tuned: Tuned) -> None:
        """In place of what was found for the same purpose before."""
        values = (tuned.identity, str(tuned.purpose), self._clock(), json.dumps(asdict(tuned)))
        with self._open() as database:
            database.execute("INSERT OR REPLACE INTO tuning VALUES (?, ?, ?, ?)", values)
            oldest = "SELECT identity, purpose FROM tuning ORDER BY kept DESC LIMIT -1 OFFSET ?"
            database.execute(f"DELETE FROM tuning WHERE (identity, purpose) IN ({oldest})", (MAX_TUNINGS,))

    def tuned(self, identity: str, purpose: Purpose) -> Tuned | None:
        """What was found last."""
        query = "SELECT tuned FROM tuning WHERE identity = ? AND purpose = ?"
        with self._open() as database:
            row = database.execute(query, (identity, str(purpose))).fetchone()
        if row is None:
            return None
        try:
            return shaped(Tuned, json.loads(row[0]))
        except (ValueError, LookupError, TypeError, RecursionError):
            return None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._connected()) as database, database:
                yield database
        except (sqlite3.Error, OSError) as error:
            raise BenchError(f"The history of runs in {self._path.name} cannot be used: {_why(error)}.") from error

    def _connected(self) -> sqlite3.Connection:
        """What was damaged is set aside, and a new one begun."""
        try:
            return self._made_ready()
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, NewerDatabase) or not (isinstance(error, NotOurDatabase) or is_damage(error)):
                raise
            set_database_aside(self._path)
            return self._made_ready()

    def _made_ready(self) -> sqlite3.Connection:
        database = connect_privately(self._path, PATIENCE)
        try:
            if _version(database) < len(MIGRATIONS):
                with changing_file(self._path, PATIENCE):  # of two that start together one makes it
                    _migrate(database)
        except BaseException:
            database.close()
            raise
        return database


def _migrate(database: sqlite3.Connection) -> None:
    for number, script in enumerate(MIGRATIONS[_version(database) :], _version(database) + 1):
        database.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")


def _version(database: sqlite3.Connection) -> int:
    """0 for a new one. Raises NotOurDatabase."""
    check_schema(database, {number: "".join(MIGRATIONS[:number]) for number in range(1, len(MIGRATIONS) + 1)})
    (version,) = database.execute("PRAGMA user_version").fetchone()
    assert isinstance(version, int)
    return version


def document(runs: list[Figures]) -> dict[str, Any]:
    """What `--json` prints and `read_runs` reads."""
    return {"format": FORMAT, "version": FORMAT_VERSION, "models": [asdict(figures) for figures in runs]}


def to_json(runs: list[Figures]) -> str:
    return exact_json(document(runs))


def read_runs(file: Path) -> list[Figures]:
    """Of another machine's JSON; those that are whole. Raises BenchError with what is wrong."""
    try:
        found = json.loads(read_regular(file, MAX_FILE))
    except OSError as error:
        raise BenchError(f"{file} cannot be read: {reason(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{file} is no JSON. “slipstream bench M --json” makes such a file.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise BenchError(f"{file} holds no benchmark of Slipstream. “slipstream bench M --json” makes such a file.")
    if found.get("version") != FORMAT_VERSION:
        raise BenchError(f"{file} was written by a newer Slipstream. Update this one to read it.")
    models = found.get("models")
    if not isinstance(models, list) or len(models) > MAX_BROUGHT:
        raise BenchError(f"{file} names no models, or more than {MAX_BROUGHT}.")
    runs = [figures for each in models if (figures := _figures(each)) and figures.is_whole]
    if not runs:
        raise BenchError(f"{file} holds no run that was measured to its end.")
    return runs


def _run(number: object, is_foreign: object, text: object) -> Run | None:
    """None for what we cannot have written: it hides no other run."""
    if type(number) is not int or not isinstance(text, str) or len(text) > MAX_FIGURES:
        return None
    try:
        figures = _figures(json.loads(text))
    except (ValueError, RecursionError):
        return None
    return None if figures is None else Run(number, figures, bool(is_foreign))


def _figures(value: object) -> Figures | None:
    try:
        figures = shaped(Figures, value)
        figures.check()
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return figures


def _why(error: Exception) -> str:
    if isinstance(error, NewerDatabase):
        return "a newer Slipstream has written it"
    return reason(error) if isinstance(error, OSError) else str(error)
