"""Engines that load, refuse, die and come back, as a client of the port sees it."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from app.inference.engine_handle import EngineState

Says = Callable[[str], str]
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows os.kill ends the process with either


def test_killed_in_a_stream_the_reader_learns_it_and_the_next_request_works(run: Any, says: Says) -> None:
    with run(slow="20ms") as port:
        with port.stream("long 30", draft=False) as stream:
            beginning = stream.next_text()
            os.kill(port.supervisor.get("slow").pid, KILL)
            *_, last = stream
        assert not stream.ended_well
        assert beginning == "T"
        assert last.keys() == {"error"}
        assert last["error"]["type"] == "server_error"
        assert last["error"]["code"] == "engine_died"
        assert "stopped" in last["error"]["message"]
        answer = port.chat("Hello").json()
        assert answer["choices"][0]["message"]["content"] == says("Hello")


@pytest.mark.parametrize("order", ["!kill", "!crash"])
def test_a_death_before_the_first_word_is_503_and_the_next_request_works(run: Any, says: Says, order: str) -> None:
    with run(quick="quick") as port:
        died = port.chat(order)
        assert died.status_code == 503
        assert died.json()["error"]["code"] == "engine_died"
        assert port.chat("Hello", stream=False).json()["choices"][0]["message"]["content"] == says("Hello")


def test_a_death_ends_every_answer_of_that_engine_and_none_of_another(run: Any) -> None:
    with run(slow="20ms", other="other") as port:
        with (
            port.stream("long 30", model="slow", draft=False) as one,
            port.stream("long 30", model="slow", draft=False) as two,
        ):
            one.next_text(), two.next_text()
            os.kill(port.supervisor.get("slow").pid, KILL)
            assert port.chat("Hello", model="other").status_code == 200
            lasts = [list(one)[-1], list(two)[-1]]
        assert [last["error"]["code"] for last in lasts] == ["engine_died"] * 2


def test_a_request_waits_for_the_load(run: Any, says: Says, tmp_path: Path) -> None:
    with run(late=str(tmp_path / "waits")) as port, ThreadPoolExecutor() as pool:
        answer = pool.submit(port.chat, "Hello")
        assert not wait([answer], 0.2).done
        assert port.supervisor.get("late").snapshot.state is EngineState.LOADING
        (tmp_path / "waits").touch()
        assert answer.result().json()["choices"][0]["message"]["content"] == says("Hello")


@pytest.mark.parametrize(
    ("file", "reason", "status", "code"),
    [("bad.gguf", "bad.gguf", 400, "model_not_loadable"), ("crash", "engine stopped", 503, "engine_died")],
)
def test_a_model_that_does_not_load_is_refused_with_the_reason(
    run: Any, file: str, reason: str, status: int, code: str
) -> None:
    with run(broken=file) as port:
        refused = port.chat("Hello")
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
        assert reason in refused.json()["error"]["message"]
        assert port.client.get("/health").status_code == 200


def test_an_unloaded_model_ends_its_streams_with_a_sentence(run: Any) -> None:
    with run(slow="20ms") as port:
        with port.stream("long 30", draft=False) as stream:
            stream.next_text()
            unload = threading.Thread(target=port.supervisor.unload, args=("slow",))
            unload.start()
            *_, last = stream
            unload.join()
        assert "unloaded" in last["error"]["message"]
