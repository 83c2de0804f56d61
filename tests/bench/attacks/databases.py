"""600 damaged databases and cards, opened as the application opens them: rows, or a sentence and the file set aside.

After each one a good write has to last, and every byte of what was damaged has to lie somewhere still.
"""

import json
import random
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from app.conversation import Role
from app.history_opening import open_history
from app.lab.card import Card, verdict
from app.lab.card_store import CardStore
from app.lab.export import to_csv
from app.library.facts import Facts
from app.library.found import Found
from app.library.index import Index
from app.library.origin import Origin
from backends.protocol import Timings
from tests.bench.attacks.alone import alone
from tests.bench.attacks.case import Case
from tests.lab.cards import card

NAME = "chats.db"
NUM_CHATS, NUM_TURNS, NUM_LOGGED = 12, 8, 4
NUM_FILES = 40
PAGE = 4096
Spoil = Callable[[random.Random, bytes], bytes]


@dataclass(frozen=True)
class Pristine:
    """Files by name; `chats` as titles with texts."""

    files: dict[str, bytes]
    texts: frozenset[str]


def cases() -> Iterator[Case]:
    for kind, spoil, count in (("flip", flip, 150), ("cut", cut, 50), ("swap", swap, 40), ("blank", blank, 20)):
        yield from _many(f"chats {kind}", count, partial(_attack_chats, spoil, NAME, False))
    for kind, spoil, count in (("flip", flip, 50), ("cut", cut, 20), ("strange", strange, 10)):
        yield from _many(f"chats log {kind}", count, partial(_attack_chats, spoil, f"{NAME}-wal", True))
    yield from _many("chats stub", 2, partial(_attack_chats, stub, NAME, False))
    for number, statement in enumerate(ROWS):
        yield Case(f"chats row {number}", partial(alone, partial(_attack_rows, statement)))
    for number, script in enumerate(SCHEMAS):
        yield Case(f"chats schema {number}", partial(alone, partial(_attack_schema, script)))
    for kind, spoil, count in (("flip", flip, 60), ("cut", cut, 20), ("swap", swap, 15), ("blank", blank, 5)):
        yield from _many(f"index {kind}", count, partial(_attack_index, spoil))
    for number, statement in enumerate(INDEX_ROWS):
        yield Case(f"index row {number}", partial(alone, partial(_attack_index_rows, statement)))
    for kind, spoil, count in (("flip", flip, 50), ("cut", cut, 20)):
        yield from _many(f"card {kind}", count, partial(_attack_card, spoil))
    for number, change in enumerate(CARDS):
        yield Case(f"card value {number}", partial(alone, partial(_attack_card_value, change)))


def flip(pick: random.Random, content: bytes) -> bytes:
    """One to eight bytes; every other time in the beginning, where formats are said."""
    result = bytearray(content)
    end = len(content) if pick.random() < 0.7 else min(len(content), 200)
    for _ in range(pick.choice((1, 1, 2, 8))):
        result[pick.randrange(end)] ^= pick.randrange(1, 256)
    return bytes(result)


def cut(pick: random.Random, content: bytes) -> bytes:
    return content[: pick.randrange(len(content))]


def stub(pick: random.Random, content: bytes) -> bytes:
    return content[: pick.randrange(1, 512)]


def swap(pick: random.Random, content: bytes) -> bytes:
    pages = [content[start : start + PAGE] for start in range(0, len(content), PAGE)]
    first, second = pick.sample(range(len(pages)), 2)
    pages[first], pages[second] = pages[second], pages[first]
    return b"".join(pages)


def blank(pick: random.Random, content: bytes) -> bytes:
    start = pick.randrange(len(content) // PAGE) * PAGE
    return content[:start] + bytes([pick.choice((0, 255, 165))]) * PAGE + content[start + PAGE :]


def strange(pick: random.Random, content: bytes) -> bytes:
    return pick.randbytes(len(content))


def _many(name: str, count: int, attack: Callable[[random.Random, Path], str | None]) -> Iterator[Case]:
    for number in range(count):
        pick = random.Random(f"{name} {number}")
        yield Case(f"{name} {number}", partial(alone, partial(attack, pick)))


@cache
def pristine(is_logged: bool) -> Pristine:
    """Real chats; with `is_logged` the last of them are in the log alone, as after a death."""
    with tempfile.TemporaryDirectory() as folder:
        path, texts = Path(folder) / NAME, set()
        for is_last, numbers in ((False, range(NUM_CHATS)), (True, range(NUM_CHATS, NUM_CHATS + NUM_LOGGED))):
            if is_last and not is_logged:
                break
            history, _ = open_history(path)
            for number in numbers:
                chat = history.create(f"Chat {number}").id
                for turn in range(NUM_TURNS):
                    text = f"{number}:{turn}: " + f"word{turn} " * (30 * turn)
                    role = Role.USER if turn % 2 == 0 else Role.ASSISTANT
                    made = history.append(chat, role, text, "guide")
                    history.update(made.id, timings=Timings(prompt_n=turn, predicted_ms=1.5))
                    texts.add(text)
            if is_last:
                files = _files(path)
                history.close()
                return Pristine(files, frozenset(texts))
            history.close()
        return Pristine(_files(path), frozenset(texts))


def _files(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.parent.iterdir() if not each.name.endswith("-shm")}


def _attack_chats(spoil: Spoil, victim: str, is_logged: bool, pick: random.Random, folder: Path) -> str | None:
    good = pristine(is_logged)
    content = spoil(pick, good.files[victim])
    for name, whole in good.files.items():
        (folder / name).write_bytes(content if name == victim else whole)
    may_lack = NUM_LOGGED if spoil is cut and is_logged else 0  # a log cut short says nothing of what it held
    return _judge_chats(folder, content, len(good.texts), may_lack * NUM_TURNS)


def _attack_rows(statement: str, folder: Path) -> str | None:
    good = pristine(False)
    (folder / NAME).write_bytes(good.files[NAME])
    with closing(sqlite3.connect(folder / NAME)) as database, database:
        database.execute(statement)
    content = (folder / NAME).read_bytes()
    return _judge_chats(folder, content, len(good.texts), 0, must_stay=True)


def _attack_schema(script: str, folder: Path) -> str | None:
    (folder / NAME).write_bytes(pristine(False).files[NAME])
    with closing(sqlite3.connect(folder / NAME)) as database:
        database.executescript(script)
    content = (folder / NAME).read_bytes()
    fault = _judge_chats(folder, content, 0, 0)
    return fault or (None if _is_kept(folder, content) else "it was believed")


def _judge_chats(folder: Path, content: bytes, num_turns: int, may_lack: int, must_stay: bool = False) -> str | None:
    """Rows, or a sentence and the bytes beside it; and what is written next is there at the next start."""
    history, sentence = open_history(folder / NAME)
    try:
        chats = history.conversations()
        shown = {turn for chat in chats for turn in history.turns(chat.id)}
        found = [turn for chat in chats for turn in history.chat(chat.id).turns]  # in whatever branch a link has put it
        if not shown <= set(found):
            return "what is shown is not what is there"
        history.conversations("word3")
        if sentence is None and len(found) < num_turns - may_lack:
            return f"{num_turns - len(found)} turns are gone without a word"
        if must_stay and (sentence or sum(turn.problem is None for turn in found) < num_turns - 1):
            return f"one row took others away: {sentence}"
        turn = history.append(history.create("next").id, Role.USER, "a good write")
        history.update(turn.id, text="a good write", timings=Timings(prompt_n=1))
    finally:
        history.close()
    if sentence is not None and not _is_kept(folder, content):
        return "its bytes were written over later"
    return _judge_next(folder)


def _judge_next(folder: Path) -> str | None:
    again, sentence = open_history(folder / NAME)
    try:
        texts = [turn.text for chat in again.conversations("next") for turn in again.turns(chat.id)]
    finally:
        again.close()
    if sentence or "a good write" not in texts:
        return f"what was written next is not there: {sentence}"
    return None


def _is_kept(folder: Path, content: bytes) -> bool:
    return any(path.read_bytes() == content for path in folder.rglob("*.broken-*") if path.is_file())


BAD_TEXTS = ("X'ff'", "X'c0af'", "X'eda080'", "X'f8888080'", "X'00'", "X'e28'||'0'", "zeroblob(3000000)")
TIMINGS = ('{"', "[]", "null", '"x"', "1e999", '{"prompt_n": 1e400}', '{"cache_miss": {}}', "[" * 50_000, "NaN")
ROWS = (
    *(f"UPDATE turn SET text = CAST({text} AS TEXT) WHERE id = 20" for text in BAD_TEXTS if "||" not in text),
    *(f"UPDATE turn SET role = CAST({text} AS TEXT) WHERE id = 20" for text in BAD_TEXTS if "||" not in text),
    *(f"UPDATE turn SET timings = '{text}' WHERE id = 20" for text in TIMINGS),
    "UPDATE turn SET created = 9e999 WHERE id = 20",
    "UPDATE turn SET created = -9e999 WHERE id = 20",
    "UPDATE turn SET stopped = -9223372036854775808 WHERE id = 20",
    "UPDATE turn SET problem = CAST(X'ff' AS TEXT) WHERE id = 20",
    "UPDATE turn SET model = CAST(X'ff' AS TEXT) WHERE id = 20",
    "UPDATE turn SET id = -1 WHERE id = 20",
    "UPDATE turn SET id = 9223372036854775806 WHERE id = 20",
    "UPDATE conversation SET title = CAST(X'ff' AS TEXT) WHERE id = 3",
    "UPDATE conversation SET updated = 9e999 WHERE id = 3",
    "UPDATE conversation SET updated = -9e999 WHERE id = 3",
)
SCHEMAS = (
    "DROP TABLE turn",
    "DROP TABLE conversation",
    "DROP INDEX turn_by_conversation",
    "ALTER TABLE turn DROP COLUMN problem",
    "ALTER TABLE turn RENAME COLUMN text TO words",
    "ALTER TABLE turn ADD COLUMN more TEXT",
    "CREATE TRIGGER t AFTER INSERT ON turn BEGIN DELETE FROM conversation; END",
    "CREATE TRIGGER t BEFORE INSERT ON turn BEGIN SELECT RAISE(FAIL, 'no'); END",
    "CREATE TABLE other (x)",
    "CREATE VIEW v AS SELECT 1",
    "DROP TABLE turn; CREATE TABLE turn (id, conversation, role, text, created, model, timings, stopped, problem)",
    "DROP TABLE conversation; CREATE VIEW conversation AS WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT 1 FROM r)"
    " SELECT id, '' AS title, 0.0 AS updated FROM r",
    "PRAGMA user_version = 99",
    "PRAGMA user_version = -1",
    "PRAGMA user_version = 0",
    "PRAGMA foreign_keys = OFF; DELETE FROM conversation WHERE id = 3",
    "PRAGMA foreign_keys = OFF; UPDATE turn SET conversation = 99 WHERE id = 20",
    "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE turn (' WHERE name = 'turn'",
    "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'turn'",
    "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'turn'",
    "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'turn_by_conversation'",
    "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'turn'",
)


def _found(number: int) -> Found:
    return Found(Origin.FOLDER, f"m{number}", f"/models/{number}.gguf", 1000 + number, 5, number)


def _facts(found: Found) -> Facts:
    return Facts(True, f"Model {found.id}", "llama", 1000, "Q4_K_M", 4096)


@cache
def pristine_index() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "library.sqlite3"
        _look(path)
        return path.read_bytes()


def _look(path: Path) -> tuple[list[Facts], int]:
    """All facts as the library would have them, and how many files had to be opened."""
    read: list[Found] = []
    index = Index(path, lambda found: read.append(found) or _facts(found))
    facts = [index.get(found) or index.read(found) for found in map(_found, range(NUM_FILES))]
    index.save()
    return facts, len(read)


def _attack_index(spoil: Spoil, pick: random.Random, folder: Path) -> str | None:
    content = spoil(pick, pristine_index())
    (folder / "library.sqlite3").write_bytes(content)
    return _judge_index(folder, content)


def _attack_index_rows(statement: str, folder: Path) -> str | None:
    (folder / "library.sqlite3").write_bytes(pristine_index())
    with closing(sqlite3.connect(folder / "library.sqlite3")) as database:
        database.executescript(statement)
    return _judge_index(folder, (folder / "library.sqlite3").read_bytes())


def _judge_index(folder: Path, content: bytes) -> str | None:
    path = folder / "library.sqlite3"
    facts, num_read = _look(path)
    if len(facts) != NUM_FILES or not all(isinstance(each, Facts) and isinstance(each.name, str) for each in facts):
        return "a row is not as it should be"
    if num_read == NUM_FILES and not _is_kept(folder, content) and len(content) > 0:
        return "nothing of it was used, and it is gone"
    _, num_again = _look(path)
    return f"{num_again} files are opened again at every start" if num_again else None


INDEX_ROWS = (
    *(f"UPDATE headers SET {column} = CAST(X'ff' AS TEXT) WHERE path LIKE '%/7.%'" for column in ("name", "problem")),
    *(f"UPDATE headers SET {column} = 'x' WHERE path LIKE '%/7.%'" for column in ("bytes", "mtime_ns", "inode")),
    *(f"UPDATE headers SET {column} = 'x' WHERE path LIKE '%/7.%'" for column in ("context", "parameters", "is_model")),
    "UPDATE headers SET context = -1 WHERE path LIKE '%/7.%'",
    "UPDATE headers SET name = NULL WHERE path LIKE '%/7.%'",
    "UPDATE headers SET name = zeroblob(100) WHERE path LIKE '%/7.%'",
    "UPDATE headers SET inode = '" + "9" * 5000 + "' WHERE path LIKE '%/7.%'",
    "DROP TABLE headers",
    "ALTER TABLE headers ADD COLUMN more",
    "CREATE TRIGGER t AFTER INSERT ON headers BEGIN DELETE FROM headers; END",
    "PRAGMA user_version = 9",
    "PRAGMA user_version = 0",
)


@cache
def pristine_card() -> tuple[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        CardStore(Path(folder)).save(card())
        (path,) = Path(folder).iterdir()
        return path.name, path.read_bytes()


def _attack_card(spoil: Spoil, pick: random.Random, folder: Path) -> str | None:
    return _judge_card(folder, spoil(pick, pristine_card()[1]))


def _attack_card_value(change: tuple[str, object], folder: Path) -> str | None:
    document = json.loads(pristine_card()[1])
    place, (where, value) = document["card"], change
    *path, last = where.split(".")
    for key in path:
        place = place[key]
    place[last] = value
    return _judge_card(folder, json.dumps(document).encode())


def _judge_card(folder: Path, content: bytes) -> str | None:
    """Read or passed over; another card stands; the same one can be made again, and the odd one is not lost."""
    store, (name, _) = CardStore(folder), pristine_card()
    other = card("Q8_0")
    store.save(other)
    (folder / name).write_bytes(content)
    found = store.cards()
    if other not in found:
        return "another card is gone"
    for each in found:
        _show(each)
    store.save(card())
    if sorted(each.quantization for each in store.cards()) != ["Q4_K_M", "Q8_0"]:
        return "the card cannot be made again"
    if len(found) == 1 and not _is_kept(folder, content):
        return "the odd card was written over"
    return None


def _show(each: object) -> None:
    assert isinstance(each, Card)
    verdict(each).encode()
    to_csv([each]).encode()


CARDS: tuple[tuple[str, object], ...] = (
    ("bytes", -1),
    ("bytes", 0),
    ("bytes", 10**400),
    ("bytes", 1.5),
    ("bytes", True),
    ("name", "\ud800"),
    ("name", 7),
    ("machine", None),
    ("bits_per_weight", float("nan")),
    ("bits_per_weight", float("inf")),
    ("speed.decode_per_second", 0),
    ("speed.decode_per_second", -1.0),
    ("speed.threads", "many"),
    ("evaluation.perplexity", 10**400),
    ("evaluation.kld.mean", float("nan")),
    ("evaluation.kld", []),
    ("reference.bytes", 0),
    ("reference.speed.decode_per_second", 0.0),
)
