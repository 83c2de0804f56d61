"""A command whose standard streams are closed does its work, and nothing that it opens takes their place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.paths import Paths
from tests.library import foreign


def run(closed: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """closed: as a shell writes it."""
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "app", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=360, check=False, env=dict(os.environ))


@pytest.mark.parametrize(
    ("closed", "arguments"),
    [
        (">&-", ("models",)),
        (">&-", ("cache", "--json")),
        ("<&- >&- 2>&-", ("models",)),
        ("2>&- >&-", ("chat", "nobody", "hello")),
    ],
)
def test_a_closed_stream_is_one_that_nobody_reads(closed: str, arguments: tuple[str, ...]) -> None:
    done = run(closed, *arguments)
    assert done.returncode == (1 if arguments[0] == "chat" else 0)
    assert "Traceback" not in done.stderr


def test_without_stdin_nothing_is_agreed_to() -> None:
    paths = Paths.from_environment()
    paths.ensure()
    file = foreign.gguf(paths.models / "p" / "r" / "m.gguf")
    done = run("<&-", "models", "--remove", str(file))
    assert (done.returncode, file.exists(), "Traceback" in done.stderr) == (2, True, False)


def test_what_a_command_opens_is_not_taken_for_stdout(tmp_path: Path) -> None:
    """A library's database once got the number of the closed one, and what native code prints would land in it."""
    code = "import app.standard_streams as s, os; s.open_closed_streams(); print(open('x', 'w').fileno() > 2)"
    out = tmp_path / "out"
    command = ["sh", "-c", f'exec "$@" <&- 2>&- >{out}', "sh", sys.executable, "-c", code]
    subprocess.run(command, timeout=360, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert out.read_text() == "True\n"
