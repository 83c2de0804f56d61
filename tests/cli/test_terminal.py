"""What files and networks call themselves never reaches a terminal raw, and programs get it exactly."""

import ast
import io
import json
import logging
import sys
from pathlib import Path

import pytest

from app.__main__ import main
from app.cli import progress
from app.cli.progress import ProgressLine
from app.cli.terminal import PrintableFormatter, say, say_json, warn
from app.paths import Paths
from app.settings import Settings
from app.settings_file import save_settings
from backends.bounds import MAX_SENTENCE, UNPRINTABLE, as_name, printable, sentence, whole
from tests.library import foreign
from tests.library.oddities import ESCAPES, NO_UTF8

CLI = Path(__file__).parents[2] / "app" / "cli"
OWN_WORDS = {"terminal.py", "progress.py", "window.py", "serve.py", "models.py"}  # print nothing of anybody else's
NAMES = (ESCAPES.replace("/", ""), NO_UTF8, "<b>bold</b>", "line\nslipstream: All is well")


@pytest.fixture(params=NAMES, ids=["escapes", "no UTF-8", "mark-up", "lines"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model with such a name in a folder of the person's, and its twin."""
    paths = Paths.from_environment()
    paths.ensure()
    save_settings(paths.settings_file, Settings(folders=(str(tmp_path / "f"),)))
    path = foreign.gguf(tmp_path / "f" / f"{request.param}.gguf")
    foreign.gguf(paths.models / "p" / "r" / path.name)
    return path


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    main(arguments)
    out = capfd.readouterr()
    return out.out, out.err


@pytest.mark.parametrize("action", ["list", "verify", "duplicates", "remove", "quantize", "plan", "evaluate"])
def test_no_command_says_a_name_raw(action: str, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    own = str(Paths.from_environment().models / "p" / "r" / file.name)
    commands = {
        "list": ("models",),
        "verify": ("models", "--verify", str(file)),
        "duplicates": ("models", "--duplicates"),
        "remove": ("models", "--remove", own),
        "quantize": ("quantize", str(file), str(file)),
        "plan": ("quantize", f"{file}.no", "--dry-run"),
        "evaluate": ("evaluate", f"{file}no"),
    }
    out, error = run(capfd, *commands[action])
    assert out + error
    for line in (*out.split("\n"), *error.split("\n")):
        assert not UNPRINTABLE.search(line), ascii(line)
        assert not line.startswith("slipstream: All is well")
    if action in ("list", "verify", "remove"):
        assert printable(file.name.removesuffix(".gguf")) in out + error


def test_programs_get_the_exact_name(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capfd, "models", "--json")
    assert not UNPRINTABLE.search(out.replace("\n", ""))
    document = json.loads(out)
    assert str(file) in [model["path"] for model in document["models"]]
    assert document["notices"] == []


def test_the_reason_of_an_odd_file_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths = Paths.from_environment()
    paths.ensure()
    save_settings(paths.settings_file, Settings(folders=(str(tmp_path / "f"), str(tmp_path / "away"))))
    foreign.gguf(tmp_path / "f" / "good.gguf")
    (tmp_path / "f" / "odd.gguf").symlink_to("odd.gguf")
    (tmp_path / "f" / "x").symlink_to("x")
    out, error = run(capfd, "models")
    assert "(!) odd: odd.gguf is a link that goes round in a circle." in out
    assert "good" in out
    assert f"slipstream: {tmp_path}/f/x is a link that goes round in a circle. Models in it are not listed." in error
    assert f"slipstream: {tmp_path}/away is not there" in error


def test_only_one_place_prints() -> None:
    for path in CLI.rglob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Name)}
        assert path.name in OWN_WORDS or "print" not in names, path


def test_a_terminal_without_utf8_ends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), "latin-1"))
    say("“é”")
    warn("→")
    say_json({"a": "“é"})
    out, error = (stream.buffer.getvalue().decode("latin-1") for stream in (sys.stdout, sys.stderr))
    assert out.startswith("\\u201cé\\u201d\n")
    assert json.loads(out.partition("\n")[2]) == {"a": "“é"}
    assert error == "slipstream: \\u2192\n"


def test_a_step_with_escapes_moves_no_cursor() -> None:
    stream = io.StringIO()
    ProgressLine(stream).tell(f"Measuring {ESCAPES}", 0.5, ESCAPES)
    assert not UNPRINTABLE.search(stream.getvalue().removesuffix("\n"))


def test_texts_have_bounds_and_keep_both_ends() -> None:
    text = sentence(f"It is {'very ' * 1_000_000}long.\nDo something.")
    assert (len(text), text[:6], text[-13:]) == (MAX_SENTENCE, "It is ", "Do something.")
    assert len(as_name("\x1b" * 1000)) == 200
    assert printable(f"{NO_UTF8} \ud800 👨\u200d👩 سلام") == "caf\\xe9\\xff \\ud800 👨\u200d👩 سلام"
    assert [whole(value) for value in (1, 0, -1, 2**63, True, 1.0, "1", None)] == [1, *[None] * 7]


def test_what_is_logged_in_passing_moves_no_cursor() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "%s could not be deleted", (ESCAPES,), None)
    assert not UNPRINTABLE.search(PrintableFormatter().format(record).replace("\n", ""))
    main(["cache"])
    assert logging.lastResort is not None
    assert isinstance(logging.lastResort.formatter, PrintableFormatter)


def test_a_log_hears_of_a_long_step_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    line = ProgressLine(stream)
    for minute in range(4):
        now[0] = 1000.0 + 30 * minute
        line.tell("Measuring x", minute / 4, f"{minute} of 4 items")
    assert stream.getvalue().splitlines() == ["slipstream: Measuring x", "slipstream: Measuring x: 50%, 2 of 4 items"]
