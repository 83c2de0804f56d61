"""What takes long on its way to a real engine ends soon, can be called off, and holds nobody else up.

By what ends before what, and by seconds of the processor: a clock would tell of the machine.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.errors import RequestError
from app.inference import engine_process
from app.inference.preflight import Preflight
from app.inference.supervisor import EngineHandle, Supervisor
from backends.protocol import (
    DraftMode,
    EngineOptions,
    Failed,
    FailureKind,
    Finish,
    Generate,
    Grammar,
    GrammarKind,
    Message,
    Output,
    Priority,
    SamplingParams,
    Stats,
)
from tests.inference.conftest import SECONDS, Answer, is_alive
from tests.llama import traps
from tests.llama.conftest import Load
from tests.patience import until
from tests.tried import tried

ROOT = Path(__file__).parents[2]
LITTLE = 5.0  # seconds of the processor: what is told at once takes far less, what is tried again and again far more
NUM_HOSTILE = 64


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return traps.make(tmp_path_factory.mktemp("trap"), traps.template())


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    folder = tmp_path_factory.mktemp("engines")
    supervisor = Supervisor(folder / "logs", Preflight(tried(folder / "cache"), folder / "logs"))
    yield supervisor
    supervisor.close()


@pytest.fixture(scope="module")
def handle(engines: Supervisor, trap: Path) -> EngineHandle:
    """All tests' own, but for those that harm one."""
    return loaded(engines, "trap", trap, traps.HASTY)


@pytest.fixture(scope="module")
def patient(engines: Supervisor, trap: Path) -> EngineHandle:
    """One whose templates have all the time of the world: what is without end lasts until it is called off."""
    return loaded(engines, "patient", trap, traps.PATIENT)


@pytest.fixture
def victim(load: Load, trap: Path) -> EngineHandle:
    return ready(load(trap, draft=DraftMode.OFF))


def loaded(engines: Supervisor, name: str, trap: Path, entry: str) -> EngineHandle:
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(engine_process, "ENTRY", entry)
        return ready(engines.load(name, trap, EngineOptions(draft=DraftMode.OFF)))


def ready(handle: EngineHandle) -> EngineHandle:
    handle.wait_ready(SECONDS)
    say(handle, "hello").wait()
    return handle


def send(handle: EngineHandle, prompt: object, **fields: object) -> Answer:
    answer = Answer()
    fields = {"max_tokens": 5, "sampling": SamplingParams(seed=1), **fields}
    answer.uid = handle.submit(Generate(prompt, **fields), answer)  # type: ignore[arg-type,attr-defined]
    return answer


def say(handle: EngineHandle, text: str, **fields: object) -> Answer:
    return send(handle, (Message("user", text),), **fields)


def loop(handle: EngineHandle, number: int, **fields: object) -> Answer:
    """A chat without end, each number another one."""
    return send(handle, (Message("user", "loop"), Message("user", str(number))), **fields)


def children_of(handle: EngineHandle) -> list[psutil.Process]:
    """Its sandboxes."""
    children = psutil.Process(handle.pid).children()
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


def doubling(number: int) -> Grammar:
    """Rules that name the next one twice each: half a second of compiling, until it is too big."""
    rules = [f"r{n} ::= r{n + 1} r{n + 1}" for n in range(40)]
    return Grammar(GrammarKind.GBNF, "\n".join(["root ::= r0", *rules, f'r40 ::= "a{number}"']))


def spent(handle: EngineHandle) -> float:
    """Seconds of the processor, by the engine and its sandboxes of now."""
    times = [process.cpu_times() for process in (psutil.Process(handle.pid), *children_of(handle))]
    return sum(each.user + each.system for each in times)


def call_off(handle: EngineHandle, *answers: Answer) -> None:
    for answer in answers:
        handle.abort(answer.uid)  # type: ignore[attr-defined]
    for answer in answers:
        answer.wait()


def failure(answer: Answer) -> Failed:
    last = answer.wait().last
    assert isinstance(last, Failed), last
    assert len(last.message) < 400
    return last


@pytest.mark.parametrize("order", traps.ORDERS)
def test_a_template_out_of_bounds_is_a_sentence_and_the_next_chat_is_answered(handle: EngineHandle, order: str) -> None:
    assert failure(say(handle, order)).kind is FailureKind.BAD_TEMPLATE
    assert isinstance(say(handle, "hello").wait().last, Output)


def test_beside_a_template_without_end_prompts_are_read_and_answers_go_on(patient: EngineHandle) -> None:
    stream = send(patient, tuple(range(20, 40)), max_tokens=300, ignore_eos=True)
    assert stream.begun.wait(SECONDS)
    endless = say(patient, "loop")
    assert isinstance(send(patient, "a text as it is").wait().last, Output)
    assert isinstance(stream.wait().last, Output)
    assert not endless.ended.is_set()
    call_off(patient, endless)


def test_what_is_being_read_or_waits_to_be_is_called_off_at_once(patient: EngineHandle) -> None:
    answers = [loop(patient, number) for number in range(4)]
    call_off(patient, *reversed(answers))
    for answer in answers:
        last = answer.last
        assert isinstance(last, Output)
        assert last.finish is Finish.ABORT
    assert all(len(answer.events) == 1 for answer in answers)


def test_the_window_is_read_before_the_port(handle: EngineHandle) -> None:
    waiting = [loop(handle, number) for number in range(3)]
    window = say(handle, "hello", priority=Priority.WINDOW)
    window.wait()
    call_off(handle, *waiting)
    assert window.place < waiting[-1].place


def test_behind_many_chats_without_end_of_one_client_another_ones_is_next(handle: EngineHandle) -> None:
    hostile = [loop(handle, number, client=1) for number in range(NUM_HOSTILE)]
    other = say(handle, "hello", client=2).wait()
    call_off(handle, *hostile)
    assert other.place < hostile[NUM_HOSTILE // 2].place, "each of them takes two seconds"


def test_the_same_chat_without_end_is_tried_once(handle: EngineHandle) -> None:
    said = failure(say(handle, "loop")).message
    before = children_of(handle)
    answers = [say(handle, "loop") for _ in range(NUM_HOSTILE)]
    assert {failure(answer).message for answer in answers} == {said}
    assert children_of(handle) == before, "each try costs a sandbox its life"


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows has no SIGSTOP")
def test_what_lies_with_the_machine_is_not_called_the_requests_fault(
    victim: EngineHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = victim
    grammar = Grammar(GrammarKind.REGEX, "[a-z]{3}")
    assert isinstance(say(handle, "hello", grammar=grammar).wait().last, Output)
    for child in children_of(handle):
        child.suspend()
    assert isinstance(say(handle, "hello").wait().last, Output), "in a fresh child"
    other = Grammar(GrammarKind.REGEX, "[a-z]{4}")
    assert isinstance(say(handle, "hello", grammar=other).wait().last, Output)
    engine = psutil.Process(handle.pid)
    soft, hard = engine.rlimit(psutil.RLIMIT_NOFILE)
    engine.rlimit(psutil.RLIMIT_NOFILE, (0, hard))
    told: list[Stats] = []  # a resting engine says the same again, which changes no snapshot
    monkeypatch.setattr(handle, "_take_stats", told.append)
    until(lambda: told, "they are told without files, too")
    for child in children_of(handle):
        child.kill()
    chat, tried = failure(say(handle, "hello")), failure(say(handle, "hello", grammar=doubling(1)))
    for failed in (chat, tried):
        assert failed.kind is FailureKind.UNAVAILABLE
        assert "Too many open files" in failed.message
    engine.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(say(handle, "hello").wait().last, Output)
    another = Grammar(GrammarKind.REGEX, "[a-z]{5}")
    assert isinstance(say(handle, "hello", grammar=another).wait().last, Output)


def test_grammars_that_take_long_stand_in_no_chats_way(handle: EngineHandle) -> None:
    """By who ends first, whatever the machine has to do beside."""
    hostile = [say(handle, "hello", grammar=doubling(n)) for n in range(NUM_HOSTILE)]
    new = Grammar(GrammarKind.REGEX, "[a-z]{3}")
    others = {
        "a chat": say(handle, "hello"),
        "a text": send(handle, "a text as it is"),
        "the first among its kind": say(handle, "hello", grammar=new, priority=Priority.WINDOW),
        "one that has been tried": say(handle, "hello", grammar=new, max_tokens=50),
    }
    for name, answer in others.items():
        assert isinstance(answer.wait().last, Output), name
    call_off(handle, *hostile)
    for name, answer in others.items():
        assert answer.place < hostile[-1].place, name


def test_the_same_bad_grammar_is_tried_once(handle: EngineHandle) -> None:
    failure(say(handle, "hello", grammar=doubling(0)))
    before = spent(handle)
    answers = [say(handle, "hello", grammar=doubling(0)) for _ in range(NUM_HOSTILE)]
    assert {failure(answer).message for answer in answers} == {failure(answers[0]).message}
    assert spent(handle) - before < LITTLE


def test_a_grammar_of_forced_letters_costs_no_more_than_others(handle: EngineHandle) -> None:
    """Each step went through all of the 100,000."""
    grammar = Grammar(GrammarKind.REGEX, "^a{100000}$")
    before = spent(handle)
    answer = say(handle, "hello", grammar=grammar, max_tokens=400).wait()
    assert spent(handle) - before < LITTLE
    assert set(answer.text) == {"a"}


@pytest.mark.parametrize("is_chat", [True, False])
def test_megabytes_are_refused_with_about_their_length_and_hold_nobody_up(handle: EngineHandle, is_chat: bool) -> None:
    most = handle.wait_ready().max_characters
    assert most
    with pytest.raises(RequestError):
        send(handle, "some words and more " * 375_000)
    text = ("some words and more " * 375_000)[: 4 * most if is_chat else most]  # as much as is sent at all
    before = spent(handle)
    answer = say(handle, text) if is_chat else send(handle, text)
    say(handle, "hello").wait()
    failed = failure(answer)
    assert spent(handle) - before < LITTLE
    assert failed.kind is FailureKind.CONTEXT_LENGTH
    assert ("about" in failed.message) is is_chat  # read no further than it takes to know
    assert failed.numbers[0] > handle.wait_ready().context


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows has no SIGSTOP")
@pytest.mark.parametrize("end", ["kill", "restart", "close"])
def test_a_stopped_sandbox_does_not_outlive_its_engine(victim: EngineHandle, end: str) -> None:
    handle = victim
    children = children_of(handle)
    assert children
    for child in children:
        child.suspend()
    if end == "kill":
        psutil.Process(handle.pid).kill()
    elif end == "restart":
        handle.restart("it was told to")
    else:
        handle.close()
    until(lambda: not any(is_alive(child.pid) for child in children), "their end")


def test_a_killed_application_leaves_no_endless_template_behind(trap: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.llama.traps", str(trap), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout
        pids = [int(pid) for pid in app.stdout.readline().split()]
        app.kill()
    until(lambda: not any(map(is_alive, pids)), "their end")
