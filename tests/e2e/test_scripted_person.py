"""The main job from end to end, at a real screen: install, ask, read, stop, leave, come back."""

import tomllib
from pathlib import Path

import pytest

from app.guide import GUIDE_DIR
from tests.e2e.conftest import ROOT, needs_screen, visit

pytestmark = needs_screen


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
    assert len(second["texts"]) == first["num_turns"]
    assert second["texts"][-1] == first["tour"]
