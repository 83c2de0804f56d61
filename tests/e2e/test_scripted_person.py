"""The main job from end to end, at a real screen: install, ask, read, stop, leave, come back."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest

from app.guide import GUIDE_DIR

ROOT = Path(__file__).parents[2]
PERSON = Path(__file__).with_name("person.py")
LIMIT = 240

pytestmark = [
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


def visit(name: str, display: str, home: Path, backend: str) -> dict[str, Any]:
    report = home.parent / f"{name}.json"
    environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "SLIPSTREAM_HOME": str(home)}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, str(PERSON), name, str(report), backend]
    done = subprocess.run(command, env=environment, cwd=ROOT, timeout=LIMIT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    seen: dict[str, Any] = json.loads(report.read_text())
    assert "problem" not in seen, f"{seen['problem']}\n{done.stderr}"
    return seen


def known_answer(question: str) -> str:
    tables = tomllib.loads((ROOT / "packaging/guide/questions.toml").read_text("utf-8"))
    known = {row["question"]: row["answer"] for rows in tables.values() for row in rows}
    return str(known[question]).strip()


@pytest.mark.parametrize("backend", ["fake", "llama"])
def test_a_person_installs_asks_stops_leaves_and_comes_back(display: str, tmp_path: Path, backend: str) -> None:
    if backend == "llama" and not (GUIDE_DIR / "model.safetensors").exists():
        pytest.skip("the guide's weights are not in this checkout")
    home = tmp_path / "a home with ümlauts"
    first = visit("first", display, home, backend)
    expected = known_answer(first["question"]) if backend == "llama" else f"You said “{first['question']}”"
    assert expected in first["answer"]
    assert first["answer"].split()[:5] == first["shown"].split()[:5]
    assert first["temperature"] == 0
    assert first["stopped"]
    assert len(first["tour"]) > 40
    second = visit("second", display, home, backend)
    assert second["stopped"]
    assert second["texts"][1] == first["answer"]
    assert second["texts"][3] == first["tour"]
