"""What was written last lies in a log beside the chats: after a death it counts, and a damaged one is not lost."""

from pathlib import Path

import pytest

from app.conversation import Role
from app.history import History
from app.history_opening import open_history
from app.write_ahead_log import LogState, look_at_log

FRAME = 24 + 4096
NUM_CHATS = 6


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """As a death leaves it: everything is in the log."""
    history = History(tmp_path / "alive.db")
    for number in range(NUM_CHATS):
        history.append(history.create(f"{number}").id, Role.USER, "x" * 3000)
    for suffix in ("", "-wal"):
        (tmp_path / f"chats.db{suffix}").write_bytes((tmp_path / f"alive.db{suffix}").read_bytes())
    history.close()
    return tmp_path / "chats.db"


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def test_a_sound_log_counts(path: Path) -> None:
    assert look_at_log(log_of(path)) is LogState.SOUND
    history, sentence = open_history(path)
    assert (sentence, len(history.conversations())) == (None, NUM_CHATS)
    history.close()


def test_a_log_that_ends_in_the_middle_of_a_page_counts_so_far(path: Path) -> None:
    log = log_of(path)
    log.write_bytes(log.read_bytes()[:-100])
    assert look_at_log(log) is LogState.SOUND
    history, sentence = open_history(path)
    assert (sentence, len(history.conversations())) == (None, NUM_CHATS)  # the last chat lacks its turn
    history.close()


@pytest.mark.parametrize("place", [0, 4, 9, 20, 32 + 8, 32 + 24 + 2000, 32 + FRAME + 12, 32 + 3 * FRAME + 30])
def test_a_damaged_log_is_kept_before_it_is_written_over(place: int, path: Path) -> None:
    content = bytearray(log_of(path).read_bytes())
    content[place] ^= 0x55
    log_of(path).write_bytes(content)
    history, sentence = open_history(path)
    assert sentence is not None
    history.append(history.create("after").id, Role.USER, "x" * 9000)
    history.close()
    kept = [each for each in path.parent.glob("*broken-1*") if each.read_bytes() == content]
    assert len(kept) == 1
    assert kept[0].name in sentence or kept[0].name == "chats.db.broken-1-wal"
    history, sentence = open_history(path)
    assert sentence is None
    assert "after" in [info.title for info in history.conversations()]
    history.close()


def test_frames_of_an_earlier_round_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    history = History(path)
    for number in range(400):  # more than the 1,000 pages after which the log begins anew
        history.append(history.create(f"{number}").id, Role.USER, "x" * 9000)
    assert look_at_log(log_of(path)) is LogState.SOUND
    history.close()
