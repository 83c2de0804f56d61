"""`slipstream serve` as a program of its own with the guide, and what a program does to its port."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.patience import PATIENCE
from tests.tried import tried

ROOT = Path(__file__).parents[2]
READY_SECONDS = 360.0


@dataclass(frozen=True)
class Serving:
    """stderr is kept in a file: a pipe that nobody reads would stop it."""

    process: subprocess.Popen[str]
    url: str
    port: int
    log: Path

    def engines(self) -> list[psutil.Process]:
        """Its children that are engines or workers, not Python's own helper."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]

    def stop_engines(self) -> list[psutil.Process]:
        engines = self.engines()
        for engine in engines:
            engine.suspend()
        return engines

    def abandon(self, path: str, body: Mapping[str, Any]) -> None:
        """Send a request and leave."""
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)

    def ask_to_end(self, number: int = signal.SIGTERM) -> float:
        """The seconds that it took. Raises subprocess.TimeoutExpired: what hangs never ends."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        return time.monotonic() - began


@contextmanager
def serving(
    home: Path,
    *models: Path,
    window: bool = False,
    options: Sequence[str] = (),
    program: str = "app",
    **variables: str,
) -> Iterator[Serving]:
    """Ready, with all models loaded. options: of the command. Killed with its children at the end."""
    tried(home / "cache")
    log, port = home.parent / f"{home.name}.log", free_port()
    command = [sys.executable, "-m", program, "serve", "--port", str(port), *options]
    command += [part for model in models for part in ("--model", str(model))] + (["--window"] if window else [])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SLIPSTREAM_HOME": str(home), "HOME": str(home)}
    environment |= {"QT_QPA_PLATFORM": "offscreen"} | variables
    with log.open("w") as errors:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        url = _url(process, log)
        _until_loaded(url, len(models), log)
        yield Serving(process, url, port, log)
    finally:
        _end(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _url(process: "subprocess.Popen[str]", log: Path) -> str:
    watch = threading.Timer(READY_SECONDS, process.kill)
    watch.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
    finally:
        watch.cancel()
        watch.join()
    assert "listening on" in line, log.read_text()
    return line.split()[-1]


def _until_loaded(url: str, num_models: int, log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        with urllib.request.urlopen(f"{url}/v1/models", timeout=READY_SECONDS) as answer:
            listed = json.load(answer)["data"]
        if sum(model["meta"]["is_loaded"] for model in listed) >= num_models:
            return
        time.sleep(0.02)
    raise AssertionError(log.read_text())


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
