"""Tool servers over stdio, good and bad ones: each a real process. What it does is a sentence; it never outlives us."""

import sys
from collections.abc import Callable
from concurrent.futures import CancelledError

import psutil
import pytest

from app.errors import ToolError
from app.tools import mcp_server
from app.tools.mcp_server import McpServer, State
from app.tools.servers import ToolServer
from app.tools.tool import MAX_TEXT, Outcome
from tests.patience import PATIENCE, until
from tests.tools.conftest import SERVERS

Connect = Callable[..., McpServer]
FAR_MORE = "sent far more than an answer needs"
ODD_ENVIRONMENT = ("-S", "-E", str(SERVERS / "odd.py"), "environment")
REAL = ToolServer("real", sys.executable, (str(SERVERS / "real.py"),))


def test_a_server_by_the_sdk_lists_its_tools_and_runs_them(connect: Connect) -> None:
    server = connect(REAL)
    add, picture = server.tools().result(PATIENCE).tools
    assert (add.name, add.description) == ("add", "Adds two whole numbers.")
    assert '"integer"' in add.parameters
    assert server.call("add", {"a": 2, "b": 40}).result(PATIENCE) == Outcome("42")
    assert server.call("add", {"a": "two", "b": 40}).result(PATIENCE).is_error
    shown = server.call(picture.name, {}).result(PATIENCE).text
    assert "[image, image/png, 3 KiB: cannot be shown to this model]" in shown


def test_an_older_server_that_greets_on_stdout_works(connect: Connect) -> None:
    server = connect("greeting")
    assert server.call("echo", {"text": "hello"}).result(PATIENCE) == Outcome("hello")
    assert server.state is State.READY


def test_a_server_that_never_answers_is_given_up(connect: Connect) -> None:
    server = connect("silent", start_seconds=0.5)
    with pytest.raises(ToolError, match=r"“silent” did not answer within 0\.5 s"):
        server.tools().result(PATIENCE)
    until(lambda: server.state is State.ENDED)


def test_a_server_that_leaves_at_once_says_its_last_words(connect: Connect) -> None:
    server = connect("leaving")
    with pytest.raises(ToolError, match="“leaving” ended by itself"):
        server.tools().result(PATIENCE)
    until(lambda: "no database" in server.words, lambda: server.words)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("dying", "“dying” ended by itself"),
        ("flooding", "far more than an answer"),
        ("chatting", "far more than an answer"),
    ],
)
def test_a_server_that_dies_or_floods_during_a_call_is_a_sentence(connect: Connect, what: str, why: str) -> None:
    server = connect(what)
    server.tools().result(PATIENCE)
    outcome = server.call("echo", {}).result(PATIENCE)
    assert outcome.is_error
    assert why in outcome.text
    until(lambda: server.state is State.ENDED)
    assert why in server.call("echo", {}).result(PATIENCE).text


def test_a_call_that_hangs_can_be_called_off(connect: Connect) -> None:
    server = connect("hanging")
    server.tools().result(PATIENCE)
    call = server.call("echo", {})
    call.cancel()
    with pytest.raises(CancelledError):
        call.result(PATIENCE)
    assert server.tools().result(PATIENCE).tools


def test_ten_megabytes_come_as_the_text_that_fits(connect: Connect) -> None:
    outcome = connect("large").call("echo", {}).result(PATIENCE)
    assert len(outcome.text) == 10 << 20
    kept = outcome.within().text
    assert len(kept) == MAX_TEXT
    assert kept.endswith("[Cut: 10,485,760 characters, of which 32,768 are kept at most.]")


def test_of_a_noisy_server_the_last_words_are_kept(connect: Connect) -> None:
    server = connect("noisy")
    server.tools().result(PATIENCE)
    until(lambda: server.words.endswith("the last words"), lambda: server.words[-100:])
    assert len(server.words) < 1000


def test_our_secrets_do_not_travel(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    server = connect(
        ToolServer("environment", sys.executable, ODD_ENVIRONMENT, {"DEBUG": "1"}, secrets=("API_KEY",)), API_KEY="k"
    )
    names = server.call("echo", {}).result(PATIENCE).text.split()
    assert {"DEBUG", "API_KEY", "PATH"} <= set(names)
    assert not {"HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "SLIPSTREAM_HOME"} & set(names)


def test_a_secret_that_the_keyring_lost_is_asked_for(connect: Connect) -> None:
    server = connect(ToolServer("environment", sys.executable, ODD_ENVIRONMENT, secrets=("API_KEY",)))
    with pytest.raises(ToolError, match="no value for API_KEY"):
        server.tools().result(PATIENCE)


def test_a_program_that_is_not_there_is_named(connect: Connect) -> None:
    with pytest.raises(ToolError, match="There is no program “no-such-program” here"):
        connect(ToolServer("none", "no-such-program")).tools().result(PATIENCE)


def test_closing_ends_the_server_with_all_that_it_has_started(connect: Connect) -> None:
    others = set(psutil.Process().children(recursive=True))
    shell = f"sleep 1000 & exec {sys.executable} -S -E {SERVERS / 'odd.py'} ok"
    server = connect(ToolServer("shell", "/bin/sh", ("-c", shell)))
    server.tools().result(PATIENCE)
    children = set(psutil.Process().children(recursive=True)) - others
    assert any("sleep" in child.name() for child in children)
    server.close()
    until(lambda: not any(map(_lives, children)), children)


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_closing_before_it_is_connected_leaves_nobody_waiting(connect: Connect) -> None:
    server = connect("silent")
    tools = server.tools()
    server.close()
    with pytest.raises((ToolError, CancelledError)):
        tools.result(PATIENCE)


def test_one_that_was_never_started_refuses() -> None:
    server = McpServer(REAL, dict)
    with pytest.raises(ToolError, match="has not been started"):
        server.tools().result(0)
    server.close()
    assert server.state is State.ENDED


def test_the_sdk_is_not_needed_to_know_of_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "mcp" not in vars(mcp_server)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mcp"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)
    McpServer(REAL, dict).close()
