"""A screen of its own for each test, and a visit to the real window on it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest

from tests.hub.conftest import hub_double, running_double
from tests.tried import tried

__all__ = ["hub_double", "running_double"]

ROOT = Path(__file__).parents[2]
PERSON = Path(__file__).with_name("person.py")
LIMIT = 800

needs_screen = [
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed (Debian: xvfb)"),
    pytest.mark.skipif(find_library("xcb-cursor") is None, reason="Qt's X11 libraries lack (Debian: libxcb-cursor0)"),
]


@pytest.fixture
def display() -> Iterator[str]:
    """A screen of its own; Xvfb chooses a free number and says which."""
    reader, writer = os.pipe()
    arguments = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x860x24", "-nolisten", "tcp"]
    server = subprocess.Popen(arguments, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    with os.fdopen(reader) as numbers:
        number = numbers.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait()


def visit(name: str, display: str, home: Path, backend: str, **variables: str) -> dict[str, Any]:
    """What the person has seen. variables: of the environment."""
    report = home.parent / f"{name}.json"
    if backend == "llama":
        tried(home / "cache")
    environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "SLIPSTREAM_HOME": str(home)} | variables
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, str(PERSON), name, str(report), backend]
    done = subprocess.run(command, env=environment, cwd=ROOT, timeout=LIMIT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    seen: dict[str, Any] = json.loads(report.read_text())
    assert "problem" not in seen, f"{seen['problem']}\n{done.stderr}"
    return seen
