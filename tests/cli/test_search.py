"""`slipstream search` as a program would use it."""

import json

import pytest

from app.__main__ import main
from tests.hub.conftest import hub_double, running_double  # noqa: F401
from tests.hub.double import HubDouble, HubRepo


@pytest.fixture
def double(hub_double: HubDouble, monkeypatch: pytest.MonkeyPatch) -> HubDouble:  # noqa: F811
    monkeypatch.setenv("HF_ENDPOINT", hub_double.endpoint)
    facts = {"total": 8_190_735_360, "architecture": "qwen3", "context_length": 40960}
    hub_double.add(HubRepo("Qwen/Qwen3-8B-GGUF", {"m.gguf": b""}, gguf=facts, downloads=1234, gated="auto"))
    hub_double.add(HubRepo("Qwen/Qwen3-0.6B", {"m.safetensors": b""}, safetensors={"total": 751_632_384}))
    return hub_double


def test_search_prints_a_line_for_each_model(double: HubDouble, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001
    assert main(["search", "qwen3", "8b"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split() == ["Qwen/Qwen3-8B-GGUF", "8.2B", "qwen3", "apache-2.0", "1,234", "downloads", "gated"]


def test_search_as_json_with_facets(double: HubDouble, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001
    assert main(["search", "--format", "safetensors", "--max-parameters", "1B", "--author", "Qwen", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["models"]
    assert found["id"] == "Qwen/Qwen3-0.6B"
    assert (found["parameters"], found["formats"], found["gated"]) == (751_632_384, ["safetensors"], "no")
    assert found["updated"] == "2026-02-03T04:05:06+00:00"


def test_nothing_found_is_said_and_is_no_failure(double: HubDouble, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001
    assert main(["search", "zzz"]) == 0
    assert capsys.readouterr().out.startswith("Nothing found.")
    assert main(["search", "zzz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"models": []}


@pytest.mark.parametrize("arguments", [["--limit", "0"], ["--max-parameters", "many"], ["--min-parameters=-1B"]])
def test_wrong_numbers_are_wrong_usage(
    double: HubDouble,
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["search", "x", *arguments]) == 2
    assert capsys.readouterr().err.startswith("slipstream: ")
    assert not double.requests


def test_a_hub_in_trouble_is_one_line_and_a_failure(double: HubDouble, capsys: pytest.CaptureFixture[str]) -> None:
    double.fail(on="/api/models", status=429, headers={"Retry-After": "30"})
    assert main(["search", "x"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "Try again in 30 seconds." in line
