"""What other threads say is said once, in order, in the GUI thread."""

import threading
from types import SimpleNamespace

import pytest
import shiboken6
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.errors import EngineError
from backends.protocol import Failed, FailureKind, Finish, Output, Timings
from ui.bridge import Answer, Bridge, merge


def test_tokens_of_one_tick_arrive_as_one(bridge: Bridge, qtbot: QtBot) -> None:
    answer, seen = Answer(), []
    answer.grew.connect(lambda output: seen.append((output.text, output.num_tokens, threading.current_thread())))

    def speak() -> None:
        for letter in "tokens":
            bridge.tell_output(answer, Output(1, letter, 1))

    with qtbot.waitSignal(answer.grew):
        thread = threading.Thread(target=speak)
        thread.start()
        thread.join()
    assert seen == [("tokens", 6, threading.main_thread())]


def test_the_last_words_come_before_the_failure(bridge: Bridge, qtbot: QtBot) -> None:
    answer, seen = Answer(), []
    answer.grew.connect(lambda output: seen.append(output.text))
    answer.failed.connect(lambda failed: seen.append(failed.message))
    bridge.tell_output(answer, Output(1, "half ", 1))
    bridge.tell_output(answer, Output(1, "a word", 1))
    with qtbot.waitSignal(answer.failed):
        bridge.tell_output(answer, Failed(1, FailureKind.ENGINE_DIED, "it died"))
    assert seen == ["half a word", "it died"]


def test_merging_keeps_finish_and_timings() -> None:
    timings = Timings(predicted_n=3)
    merged = merge([Output(1, "a", 1, timings=Timings()), Output(1, "b", 2, Finish.STOP, timings)])
    assert merged == Output(1, "ab", 3, Finish.STOP, timings)
    assert merge([]) is None


def test_both_states_of_an_engine_are_told_in_order(bridge: Bridge, qtbot: QtBot) -> None:
    seen: list[tuple[str, int]] = []
    bridge.engine_changed.connect(lambda snapshot: seen.append((snapshot.state, snapshot.fraction)))
    for state, fraction in (("loading", 0), ("loading", 1), ("ready", 1)):
        bridge.tell_engine(SimpleNamespace(name="x", state=state, fraction=fraction))
    qtbot.waitUntil(lambda: len(seen) == 2)
    assert seen == [("loading", 1), ("ready", 1)]


def test_a_result_and_a_failure_come_back_to_the_gui_thread(bridge: Bridge, qtbot: QtBot) -> None:
    seen: list[object] = []
    bridge.call(lambda: threading.current_thread().name, seen.append)
    qtbot.waitUntil(lambda: len(seen) == 1)
    assert str(seen[0]).startswith("window-worker")

    def fail() -> None:
        raise EngineError("no room")

    bridge.call(fail, pytest.fail, lambda error: seen.append(str(error)))
    qtbot.waitUntil(lambda: len(seen) == 2)
    assert seen[1] == "no room"


def test_a_resting_bridge_has_no_running_timer(bridge: Bridge, qtbot: QtBot) -> None:
    with qtbot.waitSignal(bridge.sampled):
        bridge.tell_sample(object())
    assert not bridge._timer.isActive()


def test_a_worker_that_hangs_does_not_keep_the_window(qapp: QApplication) -> None:  # noqa: ARG001
    bridge, hang = Bridge(), threading.Event()
    bridge.call(hang.wait, lambda _: None)
    bridge.close()
    hang.set()


def test_a_worker_that_ends_after_the_window_is_heard_by_nobody(qapp: QApplication) -> None:  # noqa: ARG001
    bridge, hang, told = Bridge(), threading.Event(), list[object]()
    begun = threading.Event()
    before = set(threading.enumerate())

    def work() -> None:
        begun.set()
        hang.wait()

    bridge.call(work, told.append)
    begun.wait()
    workers = set(threading.enumerate()) - before
    bridge.close()
    shiboken6.delete(bridge)
    hang.set()
    for worker in workers:
        worker.join()
    assert told == []
