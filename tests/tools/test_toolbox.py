"""All tools under names of their own, what each may do, and what becomes of a permission when a tool changes."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from app.tools.servers import BUILT_IN, Permission, ToolServer
from app.tools.tool import Outcome
from app.tools.toolbox import Toolbox
from tests.patience import PATIENCE
from tests.tools.conftest import Rules, odd

Make = Callable[..., Toolbox]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Toolbox] = []

    def make(rules: Rules, **options: Any) -> Toolbox:
        made.append(Toolbox(rules, _no_secrets, **options))
        return made[-1]

    yield make
    for toolbox in made:
        toolbox.close()


def _no_secrets(_: str) -> Mapping[str, str]:
    return {}


def nobody_waits() -> threading.Event:
    return threading.Event()


def test_calculator_and_clock_are_there_without_a_server_and_ask_first(make: Make) -> None:
    toolbox = make(Rules())
    offer = toolbox.offer(nobody_waits())
    assert [tool.name for tool in offer.tools] == ["calculator", "current_time"]
    assert {toolbox.permission(tool) for tool in offer.tools} == {Permission.ASK}


def test_a_servers_tool_is_offered_and_runs(make: Make) -> None:
    offer = make(Rules(odd("ok")), own=()).offer(nobody_waits())
    echo = offer.find("echo")
    assert echo
    assert (echo.source, echo.told().description) == ("ok", "Repeats a text.")
    assert echo.tool.start({"text": "hi"}).result(PATIENCE) == Outcome("hi")


def test_no_server_takes_the_name_of_a_built_in_tool_or_of_anothers(make: Make) -> None:
    offer = make(Rules(odd("injecting"), odd("ok"))).offer(nobody_waits())
    sources = {tool.name: tool.source for tool in offer.tools}
    assert sources == {
        "calculator": BUILT_IN,
        "current_time": BUILT_IN,
        "injecting_calculator": "injecting",
        "injecting_echo": "injecting",
        "ok_echo": "ok",
    }


def test_a_server_that_fails_is_a_problem_and_the_others_go_on(make: Make) -> None:
    offer = make(Rules(odd("leaving"), odd("ok"), ToolServer("off", "no-such-program", is_on=False))).offer(
        nobody_waits()
    )
    assert offer.find("echo")
    assert len(offer.problems) == 1
    assert "“leaving” ended by itself" in offer.problems[0]


def test_whoever_stops_does_not_wait_for_a_silent_server(make: Make) -> None:
    stopped = nobody_waits()
    stopped.set()
    assert make(Rules(odd("silent"))).offer(stopped).problems == ()


def test_a_permission_holds_for_the_tool_as_it_was(make: Make) -> None:
    """The second list of that server has another description: a rug pull."""
    rules = Rules(odd("changing"))
    toolbox = make(rules)
    before = toolbox.offer(nobody_waits()).find("echo")
    assert before
    toolbox.allow(before, Permission.ALWAYS)
    assert toolbox.permission(before) is Permission.ALWAYS
    after = toolbox.offer(nobody_waits()).find("echo")
    assert after
    assert "keys" in after.told().description
    assert toolbox.permission(after) is Permission.ASK


def test_a_permission_does_not_pass_to_another_program_of_that_name(make: Make) -> None:
    rules = Rules(odd("ok"))
    toolbox = make(rules)
    echo = toolbox.offer(nobody_waits()).find("echo")
    assert echo
    toolbox.allow(echo, Permission.ALWAYS)
    other = odd("greeting")
    rules.servers = (ToolServer("ok", other.command, other.args),)
    other_echo = toolbox.offer(nobody_waits()).find("echo")
    assert other_echo
    assert toolbox.permission(other_echo) is Permission.ASK


def test_what_is_never_allowed_is_not_offered_whatever_it_turns_into(make: Make) -> None:
    rules = Rules(odd("changing"))
    toolbox = make(rules)
    echo = toolbox.offer(nobody_waits()).find("echo")
    assert echo
    toolbox.allow(echo, Permission.NEVER)
    assert toolbox.offer(nobody_waits()).find("echo") is None


def test_a_server_that_died_is_there_again_for_the_next_answer(make: Make) -> None:
    toolbox = make(Rules(odd("dying")))
    echo = toolbox.offer(nobody_waits()).find("echo")
    assert echo
    assert echo.tool.start({}).result(PATIENCE).is_error
    assert toolbox.offer(nobody_waits()).find("echo")


def test_a_server_that_is_switched_off_is_ended(make: Make) -> None:
    rules = Rules(odd("ok"))
    toolbox = make(rules)
    toolbox.offer(nobody_waits())
    rules.servers = ()
    toolbox.forget()
    assert not [thread for thread in threading.enumerate() if thread.name == "tools-ok"]
