"""Commands beside a Slipstream that runs: what is its own they leave to it."""

import json
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.command_line import execute
from app.jobs.job import JobState
from app.running import noted
from tests.server.test_native import MODELS, free_port, until
from tests.ui.stage import StageServices, entry

ROOT = Path(__file__).parents[2]
BUSY = entry("Busy", "busy.gguf")


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StageServices]:
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path))
    result = StageServices(tmp_path, list(MODELS))
    yield result
    result.close()
    assert not noted(result.paths.running_file)


@pytest.fixture
def running(services: StageServices) -> StageServices:
    services.start_server(port=free_port())
    return services


class Said:
    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self._capsys = capsys

    def __call__(self, *command: str) -> Any:
        assert execute([*command, "--json"]) == 0, self._capsys.readouterr().err
        return json.loads(self._capsys.readouterr().out)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return Said(capsys)


def test_a_model_is_loaded_listed_pinned_and_unloaded_there(
    running: StageServices, said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said("ps")["engines"] == []
    assert said("load", "stage/quick", "--pin")["state"] == "ready"
    told = said("ps")
    assert [(each["name"], each["is_pinned"]) for each in told["engines"]] == [("stage/quick", True)]
    assert told["memory_limit"]["RAM"] > 0
    assert execute(["ps"]) == 0
    head, row, kept = capsys.readouterr().out.splitlines()
    assert head.split()[-3:] == ["USED", "BY", "UNLOADS"]
    cells = row.split()
    assert (cells[:4], cells[-4:]) == (["stage/quick", "ready", "CPU", "4,096"], ["–", "0", "–", "pinned"])
    assert re.search(r" GB, up to [\d.]+ (GB|MB) RAM|MB, up to [\d.]+ (GB|MB) RAM", row)
    assert kept.startswith("Kept for loaded models: ")
    assert [each.name for each in running.supervisor.engines()] == ["stage/quick"]
    assert said("unload", "stage/quick")["name"] == "stage/quick"
    assert said("ps")["engines"] == []


def test_its_cells_and_a_busy_processor_are_told(
    services: StageServices, said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    services.stage_store.entries.append(BUSY)
    services.start_server(port=free_port())
    said("load", BUSY.id)
    cells = until(lambda: said("ps")["engines"][0]["kv_cells"])
    assert execute(["ps"]) == 0
    _, row, sentence, _ = capsys.readouterr().out.splitlines()
    assert cells["allocated"] < cells["limit"]
    assert f"0 of {cells['allocated']:,}, up to {cells['limit']:,}" in row
    assert sentence == f"{BUSY.id}: The processor is busy with other programs: 1 of 2 threads."


def test_what_it_refuses_and_what_fails_there_is_said_here(
    running: StageServices, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, sentence in (
        (["load", "nobody"], "no model named “nobody”"),
        (["load", "stage/broken"], ""),
        (["unload", "stage/quick"], "No model named “stage/quick” is loaded"),
        (["jobs", "--cancel", "7"], "There is no job 7"),
        (["load", ""], "slipstream: At least 1 character is needed, and 0 came."),
        (["load", __file__], f"“slipstream models --add-folder {Path(__file__).parent}”"),
    ):
        assert execute(command) == 1
        told = capsys.readouterr().err
        assert sentence in told
        assert "/api/" not in told
    assert running.server.address


def test_an_install_is_its_job(
    running: StageServices, said: Said, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.cli.installing._found", lambda model: running.library.find(model))

    def let_go() -> None:
        until(lambda: [job for job in running.jobs.jobs() if job.state is JobState.RUNNING])
        running.guide.go_on.set()

    helper = threading.Thread(target=let_go)
    helper.start()
    assert said("install", "guide")["id"] == running.guide.entry.id
    helper.join()
    (job,) = said("jobs")["jobs"]
    assert (job["title"], job["state"], job["model"]) == ("Install the guide", "done", running.guide.entry.id)
    assert execute(["jobs", "--cancel", str(job["id"])]) == 1
    assert "“Install the guide”, has ended already (done)" in capsys.readouterr().err


def test_its_own_commands_need_none_of_the_keys(running: StageServices, said: Said) -> None:
    running.keys.add("somebody")
    url = f"{running.server.address}/api/slipstream/models"
    assert httpx.get(url).status_code == 401
    assert said("ps")["engines"] == []
    assert stat.S_IMODE(running.paths.running_file.stat().st_mode) == 0o600
    running.stop_server()
    assert not noted(running.paths.running_file)


def test_without_one_that_runs_they_say_so(services: StageServices, capsys: pytest.CaptureFixture[str]) -> None:
    services.paths.running_file.parent.mkdir(parents=True, exist_ok=True)
    left = {"url": f"http://127.0.0.1:{free_port()}", "key": "sk-x", "pid": 1}  # of one that has died
    services.paths.running_file.write_text(json.dumps(left))
    for command in (["ps"], ["load", "stage/quick"], ["unload", "stage/quick"], ["jobs"]):
        assert execute(command) == 1
        assert "is not running" in capsys.readouterr().err
    services.paths.running_file.unlink()


@pytest.mark.parametrize("dies", [True, False])
def test_it_is_found_again_once_a_newer_one_is_over(running: StageServices, said: Said, dies: bool) -> None:
    said("load", "stage/quick")
    path = running.paths.running_file
    lines = ["import sys", "from pathlib import Path", "from app import running", "path = Path(sys.argv[1])"]
    lines += ["running.note(path, sys.argv[2], 'its own')", *([] if dies else ["running.forget(path)"])]
    address = f"http://127.0.0.1:{free_port()}"
    subprocess.run([sys.executable, "-c", "\n".join(lines), path, address], cwd=ROOT, check=True)
    assert [each["name"] for each in said("ps")["engines"]] == ["stage/quick"]
    running.stop_server()
    assert [each.key for each in noted(path)] == (["its own"] if dies else [])
    path.write_bytes(b"")
