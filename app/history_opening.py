"""Opens the chats, whatever lies in their place: one start at a time, and a damaged file is set aside only when a new
one with all that could be read of it is complete.

A start that dies, at any moment, leaves the damaged file as it was, or the new one; the next start goes on from there.
"""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from app.disk import sync_folder
from app.history import History
from app.history_database import MAX_COPY, PAUSE, check_pages, why
from app.history_salvage import MAX_ROWS, Salvaged, salvage
from app.history_schema import newest, scripts
from app.in_use import Use
from app.own_database import COMPANIONS, NewerDatabase, NotOurDatabase, check_schema, clear_the_way, is_damage
from app.whole_file import changing_file
from backends.ownership.files import delete_file, is_regular, part_of
from backends.ownership.private import make_private_file
from backends.regular_file import check_regular

MENDED = ".mended-"  # the end of a new file that is complete, and the number under which the old one is set aside


def open_history(path: Path) -> tuple[History, str | None]:
    """The history, and a sentence for a banner when the file on disk could not be used."""
    try:
        with changing_file(path):
            use = Use(path)
            try:
                history, sentence = _open(path, use.is_alone)
            except BaseException:
                use.end()
                raise
            if history.path:
                history.hold(use)
            else:
                use.end()
            return history, sentence
    except OSError as error:
        return _in_memory(why(error), path)


def _open(path: Path, is_alone: bool) -> tuple[History, str | None]:
    """What lies there is moved only when nobody else has it open."""
    try:
        sentence = _tidy(path) if is_alone else None
        _inspect(path)
        return History(path), sentence
    except (sqlite3.Error, OSError) as error:
        fault = _fault(error, path)
        if fault is None:
            return _in_memory(why(error), path)
        if not is_alone:
            return _in_memory("another Slipstream has it open", path, fault)
    return _start_anew(path, fault)


def _tidy(path: Path) -> str | None:
    """Ends what an earlier start has begun. Raises NotOurDatabase and OSError."""
    with suppress(OSError):
        delete_file(part_of(path))
    kept = [_put_in_place(path, mended) for mended in _mended(path)]
    if kept:
        return f"The file with the chats could not be used. It is kept as {kept[0]}. What could be read of it goes on."
    names = ", ".join(target.name for target in clear_the_way(path))
    if path.with_name(f"{path.name}-journal").exists():  # of a death in a change: a reader alone cannot undo it
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, PAUSE)) as database:
            database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return f"What lay beside the chats was damaged, or not theirs. It is kept as {names}." if names else None


def _fault(error: Exception, path: Path) -> str | None:
    """What is wrong with the file, as a sentence; None when the fault is the disk's."""
    if isinstance(error, NewerDatabase):
        return "The chats on disk are from a newer Slipstream."
    if isinstance(error, NotOurDatabase):
        return f"The file with the chats is not as Slipstream makes it ({error})."
    if is_damage(error) or _says_nonsense(error, path):
        return "The file with the chats was damaged."
    return None


def _start_anew(path: Path, fault: str) -> tuple[History, str | None]:
    try:
        salvaged, mended = _mend(path)
        kept = _put_in_place(path, mended)
        history = History(path)
    except (sqlite3.Error, OSError) as error:
        return _in_memory(why(error), path, fault)
    num_chats = salvaged.num_chats
    came = f"{num_chats} of its chats could be read, and go on." if num_chats else "A new one was begun."
    cut = f" Of its messages, the newest {MAX_ROWS:,} were taken." if salvaged.is_cut else ""
    return history, f"{fault} It is kept as {kept}. {came}{cut}"


def _in_memory(reason: str, path: Path, fault: str | None = None) -> tuple[History, str | None]:
    """With the chats that can be read at least, where the file may not be written."""
    lost = "What is new is lost when you quit."
    if fault is None:
        with suppress(sqlite3.Error, OSError):
            check_regular(path)
            return History(None, copy_of=path), f"Chats cannot be kept ({reason}). {lost}"
    history = History(None)
    num_chats = _read_into(history, path)
    if fault is None and not num_chats:
        return history, f"The chats on disk cannot be opened ({reason}). New chats are lost when you quit."
    fault = fault or "The file with the chats was damaged."
    seen = f"{num_chats} of its chats could be read, but not saved" if num_chats else "A new one could not be made"
    again = f"It is still {path}: when that is mended, start Slipstream again."
    return history, f"{fault} {seen} ({reason}). {again} {lost}"


def _read_into(history: History, path: Path) -> int:
    """The number of chats; 0 when none can be read. Without the log when that cannot be."""
    with suppress(OSError):
        if path.stat().st_size > MAX_COPY:
            return 0
    for is_immutable in (False, True):
        with suppress(sqlite3.Error, OSError):
            return history.take_over(path, is_immutable=is_immutable)
    return 0


def _mend(path: Path) -> tuple[Salvaged, Path]:
    """A new file with all that can be read, where it is taken for complete. Raises sqlite3.Error and OSError."""
    part = part_of(path)
    delete_file(part)
    try:
        make_private_file(part)
        with closing(sqlite3.connect(part, isolation_level=None)) as new:
            new.execute("PRAGMA journal_mode = MEMORY")  # one that is not completed is deleted
            new.executescript(f"{scripts()[newest()]} PRAGMA user_version = {newest()}; BEGIN;")
            salvaged = salvage(path, new)
            new.execute("COMMIT")
            new.execute("PRAGMA journal_mode = WAL")  # not later, in its place: a death in that would need a journal
        _sync(part)
        mended = path.with_name(f"{path.name}{MENDED}{_free_number(path)}")
        os.rename(part, mended)
    except BaseException:
        with suppress(OSError):
            delete_file(part)
        raise
    sync_folder(path.parent)
    return salvaged, mended


def _put_in_place(path: Path, mended: Path) -> str:
    """The name of the old one, with what belongs to it. Can be done again from any step on. Raises OSError."""
    kept = path.with_name(f"{path.name}.broken-{mended.name.removeprefix(path.name + MENDED)}")
    for suffix in ("", *COMPANIONS):
        with suppress(FileNotFoundError):
            os.rename(path.with_name(path.name + suffix), kept.with_name(kept.name + suffix))
    sync_folder(path.parent)
    os.rename(mended, path)
    sync_folder(path.parent)
    return kept.name


def _mended(path: Path) -> list[Path]:
    """One at most, unless somebody has put more there."""
    start = path.name + MENDED
    found = [each for each in path.parent.iterdir() if each.name.startswith(start)]
    return [each for each in found if each.name.removeprefix(start).isdecimal() and is_regular(each)][:1]


def _free_number(path: Path) -> int:
    """Under which nothing of an earlier one lies, not even its log."""
    names = {each.name for each in path.parent.iterdir()}
    number = 1
    while any(f"{path.name}.broken-{number}{suffix}" in names for suffix in ("", *COMPANIONS)):
        number += 1
    return number


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _inspect(path: Path) -> None:
    """Raises sqlite3.Error. Opened for reading only: closing it leaves every byte as it was, in the log too."""
    if path.exists() and path.stat().st_size:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, PAUSE, isolation_level=None, uri=True)) as file:
            try:
                file.execute("BEGIN")  # version and tables of one moment
                check_schema(file, scripts())
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # as for a format of the future
                    raise NotOurDatabase(str(error)) from error
                raise
            check_pages(file)


def _says_nonsense(error: Exception, path: Path) -> bool:
    """A header that forbids writing, in a file that may be written to, is a damaged one."""
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    return code == sqlite3.SQLITE_READONLY and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
