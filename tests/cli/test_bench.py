"""`slipstream bench`: what is wrong is told before anything is measured."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.bench.history import to_json
from app.cli.bench import _file_name
from app.command_line import execute
from tests.benchmark.figures import SUBJECT, figures
from tests.cli.test_commands import slipstream


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing"], 1, "nothing"),
        (["nothing", "--context", "0"], 2, "--context"),
        (["nothing", "--output", __file__], 2, "is there already"),
        (["--compare", "1", "2"], 1, "There is no run 1"),
        (["--compare", __file__, "2"], 1, "is no JSON"),
        (["--import", "missing.json"], 1, "cannot be read"),
        (["--history", "--output", "page.md"], 2, "--output"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence(arguments: list[str], code: int, words: str) -> None:
    result = slipstream("bench", *arguments)
    assert result.returncode == code
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert Path(__file__).stat().st_size


@pytest.mark.parametrize(
    ("model", "name"),
    [("publisher/model:Q4_1", "publisher-model-Q4_1"), (str(Path.cwd() / "folder" / "a model.gguf"), "a-model.gguf")],
)
def test_the_page_is_named_for_the_model_and_not_for_its_folder(model: str, name: str) -> None:
    assert _file_name(model) == name


def test_two_machines_are_compared_by_their_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for name, build in (("ours", "llama.cpp 1"), ("theirs", "llama.cpp 2")):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(to_json([figures(subject=replace(SUBJECT, build=build))]), "utf-8")
    assert execute(["bench", "--compare", *map(str, files)]) == 0
    assert "| build | llama.cpp 1 | llama.cpp 2 |" in capsys.readouterr().out
    assert execute(["bench", "--compare", *map(str, files), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["differs"] == {"build": ["llama.cpp 1", "llama.cpp 2"]}


def test_runs_of_another_machine_are_taken_in_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "theirs.json"
    file.write_text(to_json([figures(), figures(subject=replace(SUBJECT, machine="Theirs"), others=(1.9,))]), "utf-8")
    assert execute(["bench", "--history"]) == 0
    assert "No run is kept yet" in capsys.readouterr().out
    assert execute(["bench", "--import", str(file)]) == 0
    capsys.readouterr()
    assert execute(["bench", "--history", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["runs"]
    assert [(run["run"], run["machine"], run["is_trusted"], run["is_imported"]) for run in listed] == [
        (2, "Theirs", False, True),
        (1, SUBJECT.machine, True, True),
    ]
    assert execute(["bench", "--history"]) == 0
    assert "92.0 (busy)" in capsys.readouterr().out
    assert execute(["bench", "--compare", str(file), "1"]) == 1
    assert "holds 2 runs" in capsys.readouterr().err
