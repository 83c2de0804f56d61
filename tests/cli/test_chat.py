"""`slipstream chat` as a person uses it: in a real terminal on the fake engine, in a pipe on a real model."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.talk.answer import Said, told_of_limit
from app.cli.talk.choices import Choices
from app.cli.talk.entry import Dropped, read_entry
from app.cli.talk.interrupts import Interrupts
from app.cli.talk.saved import load_chat, save_chat
from app.cli.talk.session import Session
from app.cli.terminal import stream
from app.errors import Cancelled, SettingsError, UsageError
from app.inference.supervisor import Supervisor
from app.paths import Paths
from backends.bounds import UNPRINTABLE
from backends.convert.converter import convert
from backends.protocol import EngineOptions, Finish, Message, Priority, Timings
from tests.cli.terminals import Terminal, terminal
from tests.cli.test_commands import SECONDS
from tests.convert import checkpoints

LOREM = "The quick engine shares every prefix"


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Terminal]:
    """A chat at its first prompt, with the history kept."""
    with terminal("-m", "tests.cli.talking", "20ms", "history", cwd=tmp_path) as chat:
        chat.wait_for(">>> ")
        yield chat


def test_it_talks_over_several_turns_and_leaves(chat: Terminal) -> None:
    assert "You said “one”. — The quick engine" in chat.ask("one")
    assert "You said “two”" in chat.ask("two")
    assert "4 messages" in chat.ask("/show")
    assert "forgotten" in chat.ask("/reset")
    assert "0 messages" in chat.ask("/show")
    chat.type("/bye\r")
    assert chat.end() == 0


def test_messages_of_several_lines(chat: Terminal) -> None:
    chat.ask('"""first', "... ")
    assert "You said “first\r\nsecond”" in chat.ask('second"""')
    chat.ask("third\\", "... ")
    assert "You said “third\r\nfourth”" in chat.ask("fourth")
    assert "You said “fifth\r\nsixth”" in chat.ask("fifth\x1b\rsixth")  # Alt+Enter
    assert "You said “seventh\r\neighth”" in chat.ask("\x1b[200~seventh\neighth\x1b[201~")  # a paste
    chat.type('"""dropped\r')
    chat.wait_for("... ")
    chat.interrupt()
    assert "8 messages" in chat.ask("/show")


def test_ctrl_c_stops_the_answer_and_at_the_prompt_leaves(chat: Terminal) -> None:
    chat.type("long 300\r")
    chat.wait_for(LOREM)
    chat.resize(40, 30)
    chat.type("\x03")
    assert len(chat.wait_for(">>> ")) < 100 * 300
    chat.type("go on\r")
    chat.wait_for("You said “go on”")  # the editor may draw its prompt anew for the new width
    chat.wait_for(">>> ")
    chat.type("half a line")
    chat.wait_for("half a line")
    chat.interrupt()
    assert "You said “the next”" in chat.ask("the next"), "what was half typed is dropped, and nothing else"
    assert chat.leave() == 0


def test_a_polite_signal_leaves_in_the_middle_of_an_answer(chat: Terminal) -> None:
    chat.type("long 300\r")
    chat.wait_for(LOREM)
    os.kill(chat.process.pid, signal.SIGTERM)
    assert chat.end() == 0


def test_ctrl_d_leaves(chat: Terminal) -> None:
    chat.type("\x04")
    assert chat.end() == 0


def test_an_engine_that_dies_is_a_sentence_and_the_chat_goes_on(chat: Terminal) -> None:
    died = chat.ask("!kill")
    assert "slipstream: " in died
    assert "Traceback" not in died
    assert "You said “again”" in chat.ask("again")


def test_choices_are_set_and_wrong_ones_told(chat: Terminal) -> None:
    assert "temperature: 0.2" in chat.ask("/set temperature 0.2")
    assert "temperature cannot be -9" in chat.ask("/set parameter temperature -9")
    assert "no parameter warmth" in chat.ask("/set warmth 1")
    assert "There is no command /dance" in chat.ask("/dance")
    assert "system message is set" in chat.ask("/system Be brief.")
    shown = chat.ask("/show")
    assert "temperature 0.2" in shown
    assert "Be brief." in shown
    chat.ask("/set num_predict 5")
    cut = chat.ask("hello")
    assert "ends after 5 tokens, as max_tokens says" in cut
    assert "/reset" not in cut
    assert "figures follow each answer" in chat.ask("/set verbose")
    assert "tokens/s" in chat.ask("hello")
    assert "no figures" in chat.ask("/set quiet")
    assert "/reset" in chat.ask("/help")


def test_odd_input_does_no_harm(chat: Terminal) -> None:
    chat.type(b"caf\xe9 \xff\r")
    assert "You said “caf" in chat.wait_for(">>> ")
    chat.ask("")
    assert "Shorten the prompt" in chat.ask(
        '"""' + ("x" * 900 + "\r") * 300 + '"""'
    )  # 270,000: the fake's context has 4,096
    assert "You said “still here”" in chat.ask("still here")


def test_what_was_typed_is_kept_for_its_owner_alone(chat: Terminal, tmp_path: Path) -> None:
    chat.ask("remember me")
    chat.type("\x04")
    assert chat.end() == 0
    assert "remember me" in (tmp_path / "history").read_text()
    assert stat.S_IMODE((tmp_path / "history").stat().st_mode) == 0o600
    with terminal("-m", "tests.cli.talking", "fake", "history", cwd=tmp_path) as again:
        again.wait_for(">>> ")
        again.type("\x1b[A\r")
        assert "You said “remember me”" in again.wait_for(">>> ")


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": "dumb", "NO_COLOR": "1"}])
def test_a_terminal_that_can_nothing_gets_no_escapes(environment: dict[str, str], tmp_path: Path) -> None:
    with terminal("-m", "tests.cli.talking", "fake", cwd=tmp_path, **environment) as chat:
        chat.wait_for(">>> ")
        assert "You said “one”" in chat.ask("one")
        chat.type("\x04")
        assert chat.end() == 0
        assert "\x1b" not in chat.seen


def test_what_a_model_says_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    stream("a\tb\n\x1b[2J\x07\u202ec\r\nd\x9b")
    out = capsys.readouterr().out
    assert out == "a\tb\n\\x1b[2J\\x07\\u202ec\nd\\x9b"
    assert not UNPRINTABLE.search(out.replace("\n", "").replace("\t", ""))


def test_an_entry_ends_where_it_should() -> None:
    def typed(*lines: str | type[BaseException]) -> str:
        rest = iter(lines)

        def read(_mark: str) -> str:
            line = next(rest, EOFError)
            if not isinstance(line, str):
                raise line
            return line

        return read_entry(read)

    assert typed("one") == "one"
    assert typed('"""one"""') == "one"
    assert typed('"""', "one", "", "two", '"""') == "one\n\ntwo"
    assert typed("one\\", "two\\", "three") == "one\ntwo\nthree"
    assert typed('"""one', "two") == "one\ntwo"  # Ctrl+D in the middle
    assert typed("one\\") == "one\n"
    with pytest.raises(Dropped):
        typed("one\\", KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        typed(KeyboardInterrupt)


def test_choices_have_the_ports_ranges() -> None:
    choices = Choices(0.7)
    for name, text in (("temperature", "0"), ("stop", "END"), ("stop", '["a", "b"]'), ("seed", "7"), ("top_k", "3")):
        choices.set_text(name, text)
    request = choices.request((Message("user", "hi"),))
    assert (request.sampling.temperature, request.sampling.seed, request.sampling.top_k) == (0.0, 7, 3)
    assert (request.stop, request.priority, request.max_tokens) == (("a", "b"), Priority.WINDOW, None)
    for name, text in (("top_p", "2"), ("seed", "x"), ("temperature", "nan"), ("max_tokens", "0"), ("num_ctx", "9")):
        with pytest.raises(UsageError):
            choices.set_text(name, text)
    choices.set_text("seed", "default")
    assert choices.request(()).sampling.seed is None


def test_a_chat_is_saved_whole_and_comes_back(tmp_path: Path) -> None:
    path, said = tmp_path / "chat.json", [Message("user", "é\n"), Message("assistant", "b")]
    save_chat(path, "Be brief.", said)
    assert load_chat(path) == ("Be brief.", said)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    save_chat(path, "", said[:1])
    assert load_chat(path) == ("", said[:1])
    for content in (b"", b"[]", b'{"messages": [{"role": "root", "content": "x"}]}', b"\xff", b"[" * 100_000):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(SettingsError):
            load_chat(tmp_path / "other")
        with pytest.raises(SettingsError, match="no saved chat"):
            save_chat(tmp_path / "other", "", said)
        assert (tmp_path / "other").read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["chat"], 1, "There is no model here yet. “slipstream install smollm2”"),
        (["chat", "nothing"], 1, "nothing"),
        (["chat", "nothing", "--temperature=-9"], 2, "temperature cannot be -9"),
        (["chat", "nothing", "--context", "0"], 2, "--context"),
    ],
)
def test_what_cannot_be_is_a_sentence(arguments: list[str], code: int, words: str) -> None:
    command = [sys.executable, "-m", "app", *arguments]
    result = subprocess.run(command, input="Hello?", capture_output=True, text=True, timeout=SECONDS, check=False)
    assert result.returncode == code
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_question_in_the_pipe_it_says_so() -> None:
    command = [sys.executable, "-m", "app", "chat", "nothing"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "There is no question" in result.stderr


@pytest.mark.usefixtures("tried_engine")
def test_a_real_model_answers_a_question_from_a_pipe(smollm2: Path) -> None:
    command = [sys.executable, "-m", "app", "chat", str(smollm2), "--temperature", "0", "--max-tokens", "12", "--json"]
    asked = b"What is the capital of France?" + b"\xff"
    result = subprocess.run(command, input=asked, capture_output=True, timeout=SECONDS, check=False)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["text"].strip()
    assert "<|im_end|>" not in document["text"]
    assert document["timings"]["predicted_n"] <= 12


@pytest.mark.usefixtures("tried_engine")
def test_what_a_limit_has_cut_is_told_beside_the_answer(smollm2: Path) -> None:
    command = [sys.executable, "-m", "app", "chat", str(smollm2), "--temperature", "0", "--max-tokens", "3"]
    result = subprocess.run(command, input=b"Count to ten.", capture_output=True, timeout=SECONDS, check=False)
    assert result.returncode == 0
    assert b"ends after 3 tokens, as max_tokens says" in result.stderr


@pytest.mark.usefixtures("tried_engine")
def test_raw_text_is_completed_as_it_is(smollm2: Path) -> None:
    command = [sys.executable, "-m", "app", "chat", str(smollm2), "--raw", "--temperature", "0", "--max-tokens", "4"]
    result = subprocess.run([*command, "--json"], input=b"one two three", capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["text"].strip()
    assert json.loads(result.stdout)["timings"]["prompt_n"] < 10, "no template is around it"


def test_a_full_context_is_told_apart_from_max_tokens() -> None:
    full = Said("x", Finish.LENGTH, Timings(cache_n=40, prompt_n=40, predicted_n=20))
    for limit in (None, 50):
        assert "context of 4,096 tokens is full" in told_of_limit(replace(full, limit=limit), 4096)
        assert "/reset" in told_of_limit(replace(full, limit=limit), 4096)
    assert "ends after 20 tokens, as max_tokens says" in told_of_limit(replace(full, limit=20), 4096)


def test_a_text_is_completed_beside_the_conversation(chat: Terminal) -> None:
    assert "You said “Once upon”" in chat.ask("/raw Once upon")
    assert "0 messages" in chat.ask("/show"), "a completion is no turn of a conversation"
    assert "Say which text" in chat.ask("/raw")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model without a chat template."""
    folder, target = tmp_path / "checkpoint", tmp_path / "base.gguf"
    checkpoints.write(folder, checkpoints.config())
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    convert(lambda _: None, folder, target, "f16")
    return target


@pytest.mark.usefixtures("tried_engine")
def test_a_base_model_is_told_to_complete_too(base: Path) -> None:
    command = [sys.executable, "-m", "app", "chat", str(base), "--max-tokens", "2"]
    told = (
        "Base model: completes text, has no chat format. A chat with it is a plain dialogue; --raw completes your text."
    )
    for flags, is_told in (([], True), (["--raw"], False)):
        result = subprocess.run([*command, *flags], input="a", capture_output=True, text=True, check=False)
        assert (result.returncode, told in result.stderr) == (0, is_told), result.stderr


def test_ctrl_c_before_the_load_has_begun_counts(tmp_path: Path) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    model, supervisor = tmp_path / "fake.gguf", Supervisor(tmp_path / "logs")
    model.touch()
    try:
        interrupts = Interrupts()
        assert not interrupts.stop.is_set(), "somebody looks: from here on a signal is heeded"
        supervisor.load("fake", model, EngineOptions(), backend="fake")
        signal.raise_signal(signal.SIGINT)
        session = Session(supervisor, "fake", interrupts, Choices())
        with pytest.raises(Cancelled):
            session.ready()
        assert supervisor.get("fake").wait_ready(SECONDS)
        assert session.ask("Say something long").finish is Finish.ABORT
        assert not interrupts.leave.is_set()
    finally:
        supervisor.close()
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("module", ["app.errors", "app.cli.models", "app.services"])
def test_ctrl_c_while_it_starts_is_no_traceback(module: str) -> None:
    code = f"""if True:
        import sys
        class Stop:
            def find_spec(self, name, path=None, target=None):
                if name == {module!r}: raise KeyboardInterrupt
        sys.meta_path.insert(0, Stop())
        from app.__main__ import main
        sys.exit(main(["models"]))
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (130, "")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    ("command", "module"),
    [
        ("serve --model nothing.gguf", "app.inference.standby"),
        ("serve --model nothing.gguf", "app.services"),
        ("chat nothing.gguf hello", "app.services"),
        ("evaluate nothing.gguf", "app.services"),
        ("models", "app.errors"),
    ],
)
def test_a_signal_while_it_starts_ends_it_there_and_then(command: str, module: str, number: str) -> None:
    """Without a traceback, and without first doing what it was about to do."""
    code = f"""if True:
        import os, signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell runs the tests in the background
        class Stop:
            is_over = False
            def find_spec(self, name, path=None, target=None):
                if self.is_over: print("went on with", name, flush=True)
                if name == {module!r}:
                    self.is_over = True
                    os.kill(os.getpid(), signal.{number})
        sys.meta_path.insert(0, Stop())
        from app.__main__ import main
        sys.exit(main({command.split()!r}))
    """
    command_line = [sys.executable, "-c", code]
    result = subprocess.run(
        command_line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert result.returncode in (130, -getattr(signal, number))
    assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.usefixtures("tried_engine")
def test_a_question_may_stand_behind_an_option(smollm2: Path) -> None:
    command = [sys.executable, "-m", "app", "chat", str(smollm2), "--json", "--max-tokens", "3", "Say", "one", "word."]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["timings"]["predicted_n"] <= 3


def test_what_is_no_option_is_still_refused() -> None:
    command = [sys.executable, "-m", "app", "chat", "nothing", "--json", "one", "--warmth", "2"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "unrecognized arguments: --warmth" in result.stderr


@pytest.mark.real
def test_a_real_model_in_a_real_terminal(smollm2: Path, tmp_path: Path) -> None:
    with terminal("-m", "app", "chat", str(smollm2), "--temperature", "0", cwd=tmp_path) as chat:
        chat.wait_for(">>> ")
        chat.ask("/set max_tokens 12")
        first = chat.ask("What is the capital of France?")
        chat.ask("/reset")
        assert chat.ask("What is the capital of France?") == first  # greedy
        chat.type("/bye\r")
        assert chat.end() == 0
        history = Paths.from_environment().chat_history
        assert "capital of France" in history.read_text()
