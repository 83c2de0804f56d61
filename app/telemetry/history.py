"""What was sampled, on disk: the last ten minutes by the second, the last day by the minute. In SQLite, written some
seconds' worth at a time on a thread of its own; what cannot be read or written is lost, and nothing else."""

import json
import math
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from queue import SimpleQueue

from app.own_database import NotOurDatabase, check_schema, connect_privately, is_damage, set_database_aside
from app.telemetry.sample import Moment, Sample
from app.telemetry.series import figures_of

VERSION = 1
SCHEMA = """
CREATE TABLE second (time REAL PRIMARY KEY, figures TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE minute (time REAL PRIMARY KEY, figures TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
SECONDS, MINUTES = 600.0, 86_400.0  # how long each of them is kept, in seconds
BATCH = 10  # samples
PATIENCE = 1.0  # seconds to wait for another Slipstream that writes
MAX_ROWS = 2000  # that are read; there are never more of ours
MAX_FIGURES, MAX_LENGTH = 256, 16_384  # of one row


class PerformanceHistory:
    """`take` belongs to one thread and returns at once; `recent` and `close` read and wait for the disk."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time):
        self._path = path
        self._clock = clock
        self._waiting: list[Moment] = []
        self._minute: list[Moment] = []  # of the minute that is not over
        self._tail: deque[Moment] = deque(maxlen=3 * BATCH)  # some of which may not be on disk yet
        self._batches: SimpleQueue[tuple[list[Moment], list[Moment]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def take(self, sample: Sample) -> None:
        """Only while a model is loaded: nobody asks for the rest, and the disk sleeps."""
        if not sample.engines:
            return
        moment = Moment(sample.time, figures_of(sample))
        for moments in (self._waiting, self._minute, self._tail):
            moments.append(moment)
        if len(self._waiting) >= BATCH:
            self._hand_over()

    def recent(self, seconds: float = SECONDS) -> list[Moment]:
        """The oldest first: up to ten minutes by the second, a longer time by the minute."""
        since = self._clock() - seconds
        if seconds > SECONDS:
            return self._read("minute", since)
        known = {moment.time: moment for moment in (*self._read("second", since), *list(self._tail))}
        return [known[time] for time in sorted(known) if time > since]

    def close(self, seconds: float = PATIENCE) -> None:
        """What waits is written, if the disk takes it in this time."""
        if self._waiting:
            self._hand_over()
        if self._thread:
            self._batches.put(None)
            self._thread.join(seconds)

    def _hand_over(self) -> None:
        seconds, self._waiting, minutes = self._waiting, [], list[Moment]()
        if self._minute[-1].time - self._minute[0].time >= 60:
            minutes, self._minute = [mean(self._minute)], []
        self._batches.put((seconds, minutes))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="performance history", daemon=True)
            self._thread.start()

    def _read(self, table: str, since: float) -> list[Moment]:
        query = f"SELECT time, figures FROM {table} WHERE time > ? AND time <= ? ORDER BY time LIMIT {MAX_ROWS}"
        try:
            with closing(self._open()) as database:
                rows = database.execute(query, (since, self._clock())).fetchall()
        except (sqlite3.Error, OSError):
            return []
        return [moment for row in rows if (moment := _moment(*row))]

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            try:
                self._write(*batch)
            except (sqlite3.Error, OSError) as error:
                if isinstance(error, NotOurDatabase) or is_damage(error):
                    with suppress(OSError):
                        set_database_aside(self._path)

    def _write(self, seconds: Sequence[Moment], minutes: Sequence[Moment]) -> None:
        now = self._clock()
        with closing(self._open()) as database, database:
            for table, moments, kept in (("second", seconds, SECONDS), ("minute", minutes, MINUTES)):
                rows = [(moment.time, json.dumps(moment.figures)) for moment in moments]
                database.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", rows)
                # and what a clock that was set back has left in the future
                database.execute(f"DELETE FROM {table} WHERE time < ? OR time > ?", (now - kept, now + kept))

    def _open(self) -> sqlite3.Connection:
        database = connect_privately(self._path, PATIENCE)
        try:
            database.execute("PRAGMA synchronous = OFF")  # a power cut may cost it: it is made anew
            if not check_schema(database, {VERSION: SCHEMA}):
                database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        except BaseException:
            database.close()
            raise
        return database


def mean(moments: Sequence[Moment]) -> Moment:
    """Of what was known, figure by figure."""
    names = {name for moment in moments for name in moment.figures}
    known = {name: [moment.figures[name] for moment in moments if name in moment.figures] for name in names}
    return Moment(moments[-1].time, {name: sum(values) / len(values) for name, values in known.items()})


def _moment(time: object, text: object) -> Moment | None:
    """None for what we cannot have written."""
    if not isinstance(time, float) or not isinstance(text, str) or len(text) > MAX_LENGTH:
        return None
    with suppress(ValueError, RecursionError):
        found = json.loads(text)
        if isinstance(found, Mapping) and len(found) <= MAX_FIGURES:
            return Moment(time, {str(name): float(value) for name, value in found.items() if _is_figure(value)})
    return None


def _is_figure(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
