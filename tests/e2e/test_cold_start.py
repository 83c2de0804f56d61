"""What is loaded by when: nothing that a first token does not need stands before it. And a start that ends half-way."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.cli.ending import EXIT_INTERRUPTED
from tests.e2e.serving import ROOT, free_port
from tests.patience import until

SECONDS = 360.0

# what belongs to no package of ours or Python's, but to the interpreter's start
ALWAYS = """
import sys
bare = set(sys.modules)
def told():
    names = {name.partition(".")[0] for name in set(sys.modules) - bare}
    return sorted({name for name in sys.modules if name.startswith(("app.", "backends.", "ui."))} | names)
"""

SERVE = """
import multiprocessing.process, os
def start(self):
    print(*told(), flush=True)
    os._exit(0)
multiprocessing.process.BaseProcess.start = start
from app.__main__ import main
main(["serve", "--model", "model.gguf", "--context", "512"])
"""

HELP = """
from app.__main__ import main
try:
    main(["--help"])
except SystemExit:
    print(*told(), flush=True)
"""

ENGINE = """
import os, sys, threading
from multiprocessing import Pipe
from pathlib import Path
from backends.engine.process import main
from backends.protocol import EngineOptions, Generate, Load, Message, Outputs, Ready
ours, theirs = Pipe()
out = os.dup(1)
def application():
    ours.send(Load(Path(sys.argv[1]), "model", EngineOptions(context=512, parallel=1)))
    while not isinstance(event := ours.recv(), Outputs):
        if isinstance(event, Ready):
            ours.send(Generate((Message("user", "Hello"),), uid=1, max_tokens=4))
    os.write(out, " ".join(told()).encode())
    os._exit(0)
threading.Thread(target=application, daemon=True).start()
main(theirs, "llama", None)
"""


def loaded(program: str, *arguments: str) -> set[str]:
    """The last line's names: packages, and our own modules."""
    command = [sys.executable, "-c", ALWAYS + program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=True)
    return set(done.stdout.splitlines()[-1].split())


def of_others(names: set[str]) -> set[str]:
    ours = {"app", "backends", "ui", "__mp_main__"}  # the last is multiprocessing's name for the main module
    return {name for name in names if "." not in name and name not in sys.stdlib_module_names} - ours


def test_before_the_engine_is_started_the_port_has_loaded_nothing_but_the_command_line() -> None:
    names = loaded(SERVE)
    assert of_others(names) == {"psutil"}
    assert not {"asyncio", "sqlite3", "ssl", "http", "email"} & names
    parts = {name.split(".")[1] for name in names if name.startswith("app.")}
    assert not parts & {"services", "server", "library", "jobs", "hub", "downloads", "lab", "telemetry", "history"}
    assert {name for name in names if name.startswith("backends.")} <= {
        *("backends.bounds", "backends.child", "backends.disk_fault", "backends.messages", "backends.quiet_start"),
        "backends.kv_layout",
        *(name for name in names if name.startswith(("backends.ownership", "backends.protocol"))),
    }


def test_help_loads_no_command() -> None:
    names = loaded(HELP)
    assert of_others(names) == set()
    assert {name for name in names if name.startswith("app.cli.")} == {"app.cli.terminal"}


def test_at_its_first_token_an_engine_has_loaded_what_that_needs(smollm2: Path) -> None:
    names = loaded(ENGINE, str(smollm2))
    assert "backends.llama.runner" in names
    assert of_others(names) == {"numpy", "psutil", "typing_extensions"}, "and llama.cpp's functions alone"
    assert not {"asyncio", "sqlite3", "ssl", "email", "importlib.metadata", "app"} & names
    assert not {"backends.llama.grammar", "backends.llama.compiled", "backends.llama.selftest"} & names


def _num_children(num: int) -> Callable[[psutil.Process, int], bool]:
    """multiprocessing's tracker, the engine that stands by, its sandbox."""
    return lambda process, _: len(process.children(recursive=True)) >= num


def _is_open(_: psutil.Process, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


MOMENTS = {
    "with the first child": _num_children(1),
    "when the engine is started": _num_children(2),
    "when its sandbox is": _num_children(3),
    "when the port is open": _is_open,
}


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal's signals")
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_during_the_start_ends_all_of_it_without_a_word(moment: str, smollm2: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "app", "serve", "--port", str(port), "--model", str(smollm2)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    looked_at = psutil.Process(process.pid)
    until(lambda: MOMENTS[moment](looked_at, port), moment)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to every program of the command
    _, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, "Traceback" in errors) == (EXIT_INTERRUPTED, False), errors
    until(lambda: not _left(process.pid), lambda: _left(process.pid))


def _left(session: int) -> list[int]:
    return [each.pid for each in psutil.process_iter() if _session(each.pid) == session]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def test_a_load_that_fails_ends_the_command_with_its_sentence_although_the_port_is_open(smollm2: Path) -> None:
    """And with no engine left behind."""
    command = [sys.executable, "-m", "app", "serve", "--port", str(free_port()), "--model", str(smollm2)]
    done = subprocess.run(
        [*command, "--context", "4000000"], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 1
    assert "A context of 4,000,000 tokens needs" in done.stderr
    assert "Traceback" not in done.stderr
