"""Starts one server at a time, ours or a peer's, and says when it listens and what processor time it took."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

START_SECONDS = 300.0
CALIBRATION_SECONDS = 2.0  # ours measures its steps while it idles; the peers are given the same pause
THREADS = 2


@dataclass(frozen=True, slots=True)
class Setting:
    """What both sides are told. context: tokens that one request may have."""

    model: Path
    context: int
    parallel: int = 1
    kv_type: str = "f16"
    flash: str = "auto"
    draft_model: Path | None = None
    extra: tuple[str, ...] = ()  # flags of this one server


@dataclass(slots=True)
class Server:
    port: int
    process: psutil.Process
    home: Path
    log: Path

    @property
    def cpu_seconds(self) -> float:
        """Of the process and its children."""
        family = [self.process, *self.process.children(recursive=True)]
        times = [member.cpu_times() for member in family]
        return sum(t.user + t.system for t in times)


@dataclass(frozen=True, slots=True)
class Program:
    """A server that can be started. `command` gets the setting and the port."""

    name: str
    command: Callable[[Setting, int], list[str]]
    environment: dict[str, str] = field(default_factory=dict)
    health: str = "/health"


@contextmanager
def running(program: Program, setting: Setting, home: Path | None = None, pause: bool = True) -> Iterator[Server]:
    """The server, listening, in a home of its own unless one is given; ended in order."""
    with tempfile.TemporaryDirectory(prefix="slipstream-bench-", ignore_cleanup_errors=True) as folder:
        home = home or Path(folder)
        port, log = _free_port(), Path(folder) / "server.log"
        environment = {**os.environ, "SLIPSTREAM_HOME": str(home), **program.environment}
        with log.open("wb") as output:
            popen = subprocess.Popen(
                program.command(setting, port), stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=folder
            )
        try:
            _wait(port, program.health, popen, log)
            if pause:
                time.sleep(CALIBRATION_SECONDS)
            yield Server(port, psutil.Process(popen.pid), home, log)
        finally:
            popen.terminate()
            try:
                popen.wait(60)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()


def slipstream(name: str = "slipstream") -> Program:
    """This checkout, headless."""

    def command(setting: Setting, port: int) -> list[str]:
        draft = ["--draft", str(setting.draft_model)] if setting.draft_model else []
        return [
            *(sys.executable, "-m", "app", "serve", "--model", str(setting.model), "--port", str(port)),
            *("--context", str(setting.context * (1 if "streams" in setting.extra else setting.parallel))),
            *("--parallel", str(setting.parallel), "--threads", str(THREADS)),
            *("--kv-type-k", setting.kv_type, "--kv-type-v", setting.kv_type, "--flash-attn", setting.flash),
            *draft,
            *setting.extra,
        ]

    return Program(name, command, {"PYTHONPATH": str(Path(__file__).parents[2])})


def llama_server(build: Path, name: str = "llama-server") -> Program:
    """llama.cpp's own, from the sources that our engine's wheel is made of, built with the same flags."""

    def command(setting: Setting, port: int) -> list[str]:
        draft = ["-md", str(setting.draft_model)] if setting.draft_model else []
        return [
            *(str(build / "bin" / "llama-server"), "-m", str(setting.model), "--port", str(port)),
            *("-c", str(setting.context * setting.parallel), "-np", str(setting.parallel)),
            *("-t", str(THREADS), "-tb", str(THREADS), "-b", "2048", "-ub", "512", "-fa", setting.flash),
            *("-ctk", setting.kv_type, "-ctv", setting.kv_type),
            *draft,
            *setting.extra,
        ]

    return Program(name, command)


def llama_cpp_server(python: Path) -> Program:
    """The server in llama-cpp-python: one request at a time."""

    def command(setting: Setting, port: int) -> list[str]:
        return [
            *(str(python), "-m", "llama_cpp.server", "--model", str(setting.model), "--port", str(port)),
            *("--n_ctx", str(setting.context), "--n_threads", str(THREADS), "--n_threads_batch", str(THREADS)),
            *("--flash_attn", "true", "--interrupt_requests", "false"),
        ]

    return Program("llama_cpp.server", command, health="/v1/models")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, path: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended at once:\n{log.read_text('utf-8', 'replace')[-2000:]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError("the server did not get ready")
