"""Models that come and go by memory, with real engine processes behind a real port."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from app.errors import NoRoomError, UnknownModelError
from app.inference.engine_handle import EngineState
from backends.fake.loader import answer_to
from tests.patience import until
from tests.residency.shelf import QUICK, Shelf, num_engines, stocked
from tests.ui.stage import entry

SECONDS = 180.0


def said(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    text: str = response.json()["choices"][0]["message"]["content"]
    return text


@contextmanager
def busy(shelf: Shelf, gate: Path) -> Iterator[threading.Thread]:
    """stage/held answers, and stands still in the middle of that until the gate is there, which it is in the end."""
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(said(shelf.chat("stage/held", "Wait"))))
    asking.start()
    until(lambda: (loaded := shelf.residency.loaded()) and loaded[0].snapshot.state is EngineState.READY)
    assert shelf.residency.loaded()[0].is_busy
    try:
        yield asking
    finally:
        gate.touch()
        asking.join(SECONDS)
    assert answers == [answer_to("Wait").decode()], "nobody has ended it"


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "held-gated.gguf"


@pytest.fixture
def shelf(tmp_path: Path, gate: Path) -> Iterator[Shelf]:
    """With room for one."""
    with stocked(tmp_path / "home", [entry("Quick"), entry("Held", str(gate))], room=1) as shelf:
        yield shelf


def test_a_request_waits_until_a_busy_model_is_done_and_ends_nobodys_answer(shelf: Shelf, gate: Path) -> None:
    with busy(shelf, gate) as holding, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(shelf.chat, "stage/quick", "Hello")
        until(lambda: [each for each in shelf.residency.loaded() if "“stage/held” is done" in each.snapshot.waits])
        told = {each["name"]: each for each in shelf.client.get("/api/slipstream/models").json()["engines"]}
        assert (told["stage/quick"]["state"], told["stage/held"]["state"]) == ("loading", "ready")
        assert told["stage/held"]["users"], "the program that uses it"
        gate.touch()
        holding.join(SECONDS)
        assert said(asked.result()) == answer_to("Hello").decode()
    assert shelf.names() == ["stage/quick"]


def test_a_request_that_has_waited_long_enough_is_told_to_come_back(shelf: Shelf, gate: Path) -> None:
    with busy(shelf, gate):
        shelf.residency._roster.pace = replace(QUICK, wait=0.2)
        refused = shelf.chat("stage/quick", "Hello")
        assert refused.status_code == 503, refused.text
        assert refused.headers["Retry-After"]
        assert "There is no room for “stage/quick”. Waits for memory until “stage/held” is done" in refused.text
    assert said(shelf.chat("stage/held", "Again")) == answer_to("Again").decode()


def test_a_load_that_nobody_waits_for_any_more_is_dropped(shelf: Shelf, gate: Path) -> None:
    with busy(shelf, gate):
        body = {"model": "stage/quick", "messages": [{"role": "user", "content": "Hi"}]}
        with suppress(httpx.ReadTimeout):
            shelf.client.post("/v1/chat/completions", json=body, timeout=0.5)
        until(lambda: shelf.names() == ["stage/held"])


def test_a_person_waits_without_end_and_may_cancel(shelf: Shelf, gate: Path) -> None:
    with busy(shelf, gate):
        handle = shelf.services.load_model(entry("Quick"), "stage/quick")
        until(lambda: handle.snapshot.waits)
        shelf.residency.unload("stage/quick")
        assert shelf.names() == ["stage/held"]
        until(lambda: not handle.is_there)


def test_a_pinned_model_makes_no_room_for_programs(shelf: Shelf) -> None:
    assert said(shelf.chat("stage/quick", "One"))
    pinned = shelf.client.post("/api/slipstream/models/pin", json={"model": "stage/quick"}).json()
    assert (pinned["name"], pinned["is_pinned"], pinned["unloads_in"]) == ("stage/quick", True, None)
    refused = shelf.chat("stage/held", "Two")
    assert refused.status_code == 503
    assert "of which pinned ones keep 0 MB: “stage/quick”" in refused.text
    with pytest.raises(NoRoomError):
        shelf.services.check_memory(entry("Held"))
    with pytest.raises(UnknownModelError):
        shelf.residency.pin("stage/held")


def test_what_nobody_uses_is_unloaded_after_the_time_out_and_comes_back(shelf: Shelf) -> None:
    assert said(shelf.chat("stage/quick", "One"))
    shelf.skipped = shelf.services.settings.unload_minutes * 60 - 10.0
    shelf.residency.unload_idle()
    assert shelf.names() == ["stage/quick"]
    shelf.skipped += 20.0
    shelf.residency.unload_idle()
    assert shelf.names() == []
    until(lambda: num_engines() == 0)
    assert said(shelf.chat("stage/quick", "Two")) == answer_to("Two").decode()


def test_a_program_says_how_long_its_model_stays(shelf: Shelf) -> None:
    def ask(**fields: object) -> dict[str, object]:
        answer: dict[str, object] = shelf.client.post("/api/chat", json={"model": "stage/quick", **fields}).json()
        return answer

    assert ask(messages=[{"role": "user", "content": "Hi"}], stream=False, keep_alive="2h")["done"]
    (loaded,) = shelf.residency.loaded()
    assert loaded.leaves is not None
    assert 7000 < loaded.leaves <= 7200
    assert ask(keep_alive=-1)["done_reason"] == "load"
    assert shelf.residency.loaded()[0].leaves is None
    assert ask(keep_alive=0)["done_reason"] == "unload"
    shelf.residency.unload_idle()
    assert shelf.names() == []


def test_a_time_that_a_request_tells_counts_from_it_on(shelf: Shelf) -> None:
    assert said(shelf.chat("stage/quick", "One"))
    shelf.skipped = 100.0
    shelf.residency.keep("stage/quick", 5.0)
    shelf.residency.unload_idle()
    assert shelf.names() == ["stage/quick"], "the request itself is still on its way"
    shelf.skipped += 6.0
    shelf.residency.unload_idle()
    until(lambda: num_engines() == 0)
    assert said(shelf.chat("stage/quick", "Two"))
    leaves = shelf.residency.loaded()[0].leaves
    assert leaves is not None
    assert leaves <= 5.0, "though its engine had left between the word and the request"


def test_one_that_is_used_does_not_leave_between_two_answers(shelf: Shelf) -> None:
    assert said(shelf.chat("stage/quick", "One"))
    handle = shelf.services.supervisor.get("stage/quick")
    hold = handle.hold("a test")
    assert hold
    assert not handle.retire()
    handle.drain(True)
    assert handle.hold("another") is None
    hold.end()
    hold.end()
    assert handle.retire()
    assert handle.hold("another") is None
    assert shelf.names() == []


def test_states_agree_wherever_they_are_told(shelf: Shelf) -> None:
    assert said(shelf.chat("stage/quick", "One"))
    models = {each["id"]: each["meta"] for each in shelf.client.get("/v1/models").json()["data"]}
    assert {name: meta["state"] for name, meta in models.items()} == {"stage/quick": "ready", "stage/held": "unloaded"}
    told = shelf.client.get("/api/ps").json()["models"]
    assert [each["name"] for each in told] == ["stage/quick"]
    assert told[0]["expires_at"] < "2100"
    native = shelf.client.get("/api/slipstream/models").json()
    assert [(each["name"], each["state"]) for each in native["engines"]] == [("stage/quick", "ready")]
    assert (native["memory"], native["memory_limit"]) == ({"RAM": 1}, {"RAM": 1})


def test_ten_models_with_room_for_three_answer_eight_clients(tmp_path: Path) -> None:
    """The short form of tests/bench/residency.py."""
    entries = [entry(f"M{number}") for number in range(10)]
    with stocked(tmp_path, entries, room=3) as shelf:
        done, counts = threading.Event(), [0]

        def watch() -> None:
            while not done.wait(0.05):
                counts.append(num_engines())

        def ask(seed: int) -> None:
            pick = random.Random(seed)
            question = f"Question of {seed}"
            assert said(shelf.chat(pick.choice(entries).id, question)) == answer_to(question).decode()

        watching = threading.Thread(target=watch)
        watching.start()
        with ThreadPoolExecutor(8) as pool:
            for each in [pool.submit(ask, seed) for seed in range(8)]:
                each.result()
        done.set()
        watching.join()
    assert 1 < max(counts) <= 3
    assert num_engines() == 0
