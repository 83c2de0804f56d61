"""Engines and children that are stopped, stuck or drowned in text: the window beats on, the app ends in five seconds,
and the other engine and the port answer as before.

Real processes, the guide as model. The bounds are those of a quiet machine.
"""

import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import psutil

from app.errors import EngineError
from app.inference.supervisor import EngineState, Supervisor
from tests.bench.attacks._machine import busy_machine, forget_models, models
from tests.bench.attacks._window import WindowApp, settle, window_app
from tests.bench.attacks.case import Case
from tests.e2e.serving import Serving, free_port, serving

BEAT_SECONDS = 0.1
QUIT_SECONDS = 5.0
ANSWER_SECONDS = 20.0
NUM_SILENT = 1100
WORD = "word "

Attack = Callable[[Path], str | None]


def cases() -> Iterator[Case]:
    for name, attack in ATTACKS.items():
        yield Case(name, partial(_in_a_home, attack))
    forget_models()


def _in_a_home(attack: Attack) -> str | None:
    with tempfile.TemporaryDirectory(prefix="slipstream-attack-", ignore_cleanup_errors=True) as folder:
        return attack(Path(folder) / "home")


# --- the port, without a window


def end_with_forty_abandoned(home: Path, number: int = signal.SIGTERM) -> str | None:
    with serving(home, models() / "guide.gguf") as app:
        engines = app.stop_engines()
        for _ in range(40):
            app.abandon("/v1/completions", {"prompt": WORD * 2000, "max_tokens": 5})
        time.sleep(1.0)
        return _quits(app, engines, number)


def end_with_an_open_stream(home: Path) -> str | None:
    with serving(home, models() / "guide.gguf") as app, _stream(app.url):
        return _quits(app, app.stop_engines())


def end_while_a_load_is_stopped(home: Path) -> str | None:
    settle(home, models(), free_port())
    with serving(home, models() / "guide.gguf") as app:
        before = {engine.pid for engine in app.engines()}
        name = _name(app.url, "other")
        threading.Thread(target=_ignore(lambda: _complete(app.url, name)), daemon=True).start()
        until = time.monotonic() + ANSWER_SECONDS
        while not (new := [engine for engine in app.engines() if engine.pid not in before]):
            if time.monotonic() > until:
                return "no engine was started for the other model"
        new[0].suspend()
        return _quits(app, app.engines())


def end_with_a_stopped_job(home: Path) -> str | None:
    """A conversion whose child is stopped, run by the queue of real services."""
    from app.guide import GUIDE_DIR
    from app.jobs.job import JobContext
    from app.paths import Paths
    from app.services import Services

    class Conversion:
        title, steps = "Convert", ("Convert",)

        def run(self, context: JobContext) -> None:
            from app.jobs.convert import convert_checkpoint

            convert_checkpoint(GUIDE_DIR, home / "made.gguf", "f16", logs=home, cancelled=context.cancelled)

    models()  # Python's own helper is there by now
    services = Services(Paths.below(home))
    before = set(psutil.Process().children())
    services.jobs.add(Conversion())  # type: ignore[arg-type]
    until = time.monotonic() + ANSWER_SECONDS
    while not (new := set(psutil.Process().children()) - before):
        if time.monotonic() > until:
            return "no child was started"
    for child in new:
        child.suspend()
    began = time.monotonic()
    services.close()
    seconds = time.monotonic() - began
    left = [child for child in new if child.is_running() and child.status() == psutil.STATUS_STOPPED]
    return _too_slow("the quit", seconds, QUIT_SECONDS) or ("the child is left behind" if left else None)


def come_back_by_itself(home: Path) -> str | None:
    """Nobody is there to ask: after half a minute the engine is another, and its neighbour was never disturbed."""
    with serving(home, models() / "guide.gguf", models() / "other.gguf") as app:
        engine = next(one for one in app.engines() if _is_engine_of(one, "guide"))
        engine.suspend()
        waiting = _Call(lambda: _complete(app.url, "guide"))
        neighbour = _complete(app.url, "other")
        if neighbour.status_code != 200:
            return f"the other engine answers with {neighbour.status_code}"
        response = waiting.result(60.0)
        if response is None or response.status_code != 503 or "not answered" not in response.text:
            return f"whoever waited heard {response and response.text!r}"
        again = _complete(app.url, "guide")
        return None if again.status_code == 200 else f"the next request heard {again.text!r}"


def silent_connections(home: Path) -> str | None:
    """Eleven hundred connections that say nothing, and then an engine that has to be started anew."""
    with serving(home, models() / "guide.gguf") as app:
        psutil.Process(app.process.pid).rlimit(psutil.RLIMIT_NOFILE, (1024, 4096))
        with ExitStack() as stack:
            for _ in range(NUM_SILENT):
                try:
                    stack.enter_context(socket.create_connection(("127.0.0.1", app.port), 1.0))
                except OSError:
                    break  # the port's own bound
            time.sleep(1.0)
            app.engines()[0].kill()  # the next process needs a pipe
            time.sleep(2.0)
        call = _Call(lambda: _complete(app.url, "guide"))
        response = call.result(60.0)
        if response is None or not {"choices", "error"} & response.json().keys():
            return f"whoever asks then hears {response and response.text!r}"
        return _quits(app, app.engines())


def no_file_left_for_a_load(home: Path) -> str | None:
    from tests.inference.test_hung_engine import no_file_more

    supervisor, guide = Supervisor(home / "logs"), models() / "guide.gguf"
    try:
        with no_file_more():
            handle = supervisor.load("guide", guide)
            try:
                handle.wait_ready(ANSWER_SECONDS)
            except EngineError as error:
                if handle.snapshot.state is not EngineState.FAILED or "files" not in str(error):
                    return f"it is {handle.snapshot.state}: {error}"
                return None
            return "it was loaded without a pipe"
    finally:
        supervisor.close()


def a_busy_machine(home: Path) -> str | None:
    """Twelve processes that want the cores: a healthy engine stays the same, and answers."""
    with serving(home, models() / "guide.gguf") as app, busy_machine(12):
        pids = [engine.pid for engine in app.engines()]
        until = time.monotonic() + 45.0
        while time.monotonic() < until:
            if _complete(app.url, "guide").status_code != 200:
                return "it does not answer any more"
        if [engine.pid for engine in app.engines()] != pids:
            return "a healthy engine was started anew"
        return "it was called silent" if "not answered" in app.log.read_text() else None


# --- the window


def long_question_to_a_stopped_engine(home: Path) -> str | None:
    with window_app(home, models(), free_port(), load="guide") as app:
        app.tell("copy", text=WORD, times=100_000)
        _stop_engine(app)
        return (
            _beats(app, "paste", "send")
            or _ends_soon(app)
            or _others_live(app)
            or _too_slow("the quit", app.ask_to_end(), QUIT_SECONDS)
        )


def short_question_to_a_stopped_engine(home: Path) -> str | None:
    with window_app(home, models(), free_port(), load="guide") as app:
        app.tell("copy", text="What is Slipstream?", times=1)
        _stop_engine(app)
        fault = _beats(app, "paste", "send")
        if not fault:
            app.until("busy", True)
            fault = _said(app) or _ends_soon(app) or _others_live(app)
        return fault or _too_slow("the quit", app.ask_to_end(), QUIT_SECONDS)


def forty_abandoned_beside_the_window(home: Path) -> str | None:
    with window_app(home, models(), free_port(), load="guide") as app:
        name = _name(app.url, "guide")
        _stop_engine(app)
        app.tell("rest")
        for _ in range(40):
            _abandon(app.url, {"model": name, "prompt": WORD * 2000, "max_tokens": 5})
        return _rested(app) or _others_live(app) or _too_slow("the quit", app.ask_to_end(), QUIT_SECONDS)


def six_prompts_of_seven_megabytes(home: Path) -> str | None:
    """From a program, for a healthy engine."""
    with window_app(home, models(), free_port(), load="guide") as app:
        name = _name(app.url, "guide")
        app.tell("rest")
        body = {"model": name, "prompt": WORD * 1_500_000, "max_tokens": 5}
        calls = [_Call(lambda: httpx.post(f"{app.url}/v1/completions", json=body, timeout=60.0)) for _ in range(6)]
        statuses = [response.status_code if (response := call.result(60.0)) else None for call in calls]
        if statuses != [400] * 6:
            return f"they were answered with {statuses}"
        return _rested(app) or _others_live(app) or _too_slow("the quit", app.ask_to_end(), QUIT_SECONDS)


def ten_megabytes_pasted(home: Path) -> str | None:
    with window_app(home, models(), free_port(), load="guide") as app:
        app.tell("copy", text="x", times=10_000_000)
        fault = _beats(app, "paste", "send")
        if not fault and not any("10,000,000" in banner for banner in app.tell("state")["banners"]):
            fault = "nothing was said"
        return fault or _others_live(app) or _too_slow("the quit", app.ask_to_end(), QUIT_SECONDS)


def most_that_can_be_pasted(home: Path) -> str | None:
    """Four million characters, which the model cannot hold."""
    with window_app(home, models(), free_port(), load="guide") as app:
        app.tell("copy", text=WORD, times=800_000)
        fault = _beats(app, "paste", "send")
        if not fault and not any("context" in banner for banner in app.tell("state")["banners"]):
            fault = "nothing was said"
        return fault or _others_live(app) or _too_slow("the quit", app.ask_to_end(), QUIT_SECONDS)


def a_template_that_never_ends(home: Path) -> str | None:
    with window_app(home, models(), free_port(), load="endless") as app:
        app.tell("copy", text="What is Slipstream?", times=1)
        fault = _beats(app, "paste", "send")
        if not fault:
            app.until("busy", False, seconds=10.0)
            fault = None if app.tell("state")["problem"] else "nothing was said of the template"
        return fault or _others_live(app) or _too_slow("the quit", app.ask_to_end(), QUIT_SECONDS)


ATTACKS: dict[str, Attack] = {
    "stopped, 40 abandoned, SIGTERM": end_with_forty_abandoned,
    "stopped, 40 abandoned, SIGINT": partial(end_with_forty_abandoned, number=signal.SIGINT),
    "stopped, an open stream, SIGTERM": end_with_an_open_stream,
    "stopped while it loads, SIGTERM": end_while_a_load_is_stopped,
    "a job's child stopped, quit": end_with_a_stopped_job,
    "stopped, nobody there: started anew": come_back_by_itself,
    "stopped, window, short question": short_question_to_a_stopped_engine,
    "stopped, window, 500 kB question": long_question_to_a_stopped_engine,
    "stopped, window, 40 abandoned": forty_abandoned_beside_the_window,
    "healthy, window, six prompts of 7.5 MB": six_prompts_of_seven_megabytes,
    "healthy, window, 10 MB pasted": ten_megabytes_pasted,
    "healthy, window, 4 MB sent": most_that_can_be_pasted,
    "window, a template that never ends": a_template_that_never_ends,
    "no file left for a load": no_file_left_for_a_load,
    "1,100 silent connections, SIGTERM": silent_connections,
    "healthy on a busy machine": a_busy_machine,
}


# --- what is looked at


def _quits(app: Serving, children: list[psutil.Process], number: int = signal.SIGTERM) -> str | None:
    seconds = app.ask_to_end(number)
    _, left = psutil.wait_procs(children, timeout=1.0)  # what was killed takes a moment to be gone
    if left := [child for child in left if child.status() != psutil.STATUS_ZOMBIE]:
        return f"{len(left)} children are left behind"
    return _too_slow("the quit", seconds, QUIT_SECONDS)


def _beats(app: WindowApp, *commands: str) -> str | None:
    """Does this at the window, and what follows in the next second."""
    app.tell("rest")
    for command in commands:
        app.tell(command)
    time.sleep(1.0)
    return _rested(app)


def _rested(app: WindowApp) -> str | None:
    return _too_slow("a beat", app.tell("rest")["longest"], BEAT_SECONDS)


def _said(app: WindowApp) -> str | None:
    until = time.monotonic() + 15.0
    while time.monotonic() < until:
        if any("has not answered for" in banner for banner in app.tell("state")["banners"]):
            return None
        time.sleep(0.2)
    return "the window does not say that the engine is silent"


def _ends_soon(app: WindowApp) -> str | None:
    """The stop, or the refusal, of whatever was asked."""
    app.tell("stop")
    return _too_slow("the stop", app.until("busy", False, seconds=10.0), 1.0)


def _others_live(app: WindowApp) -> str | None:
    """The port answers, and another model can be loaded and asked."""
    if httpx.get(f"{app.url}/health", timeout=ANSWER_SECONDS).status_code != 200:
        return "the port is not well"
    response = _complete(app.url, _name(app.url, "other"))
    return None if response.status_code == 200 else f"the other engine answers with {response.status_code}"


def _too_slow(what: str, seconds: float, most: float) -> str | None:
    return f"{what} took {seconds:.2f} s instead of {most} s at most" if seconds > most else None


def _stop_engine(app: WindowApp) -> None:
    os.kill(app.tell("state")["pid"], signal.SIGSTOP)


def _name(url: str, part: str) -> str:
    listed = httpx.get(f"{url}/v1/models", timeout=ANSWER_SECONDS).json()["data"]
    return next(str(model["id"]) for model in listed if part in model["id"])


def _is_engine_of(process: psutil.Process, model: str) -> bool:
    """By the file that it has mapped."""
    return any(model in mapped.path for mapped in process.memory_maps())


def _complete(url: str, model: str) -> httpx.Response:
    body = {"model": model, "prompt": "Hello", "max_tokens": 3}
    return httpx.post(f"{url}/v1/completions", json=body, timeout=60.0)


def _abandon(url: str, body: dict[str, object]) -> None:
    with httpx.Client() as client, suppress(httpx.TimeoutException):
        client.post(f"{url}/v1/completions", json=body, timeout=httpx.Timeout(5.0, read=0.01))


def _ignore(function: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with suppress(httpx.HTTPError):
            function()

    return run


class _Call:
    """A request on a thread of its own."""

    def __init__(self, function: Callable[[], httpx.Response]):
        self._function = function
        self._response: httpx.Response | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self, seconds: float) -> httpx.Response | None:
        self._thread.join(seconds)
        return self._response

    def _run(self) -> None:
        with suppress(httpx.HTTPError):
            self._response = self._function()


@contextmanager
def _stream(url: str) -> Iterator[None]:
    """One that runs."""
    begun = threading.Event()

    def read() -> None:
        body = {"prompt": "Hello", "max_tokens": 4000, "ignore_eos": True, "stream": True}
        with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60.0) as response:
            for _ in response.iter_lines():
                begun.set()

    thread = threading.Thread(target=_ignore(read), daemon=True)
    thread.start()
    assert begun.wait(ANSWER_SECONDS)
    yield
    thread.join(ANSWER_SECONDS)
