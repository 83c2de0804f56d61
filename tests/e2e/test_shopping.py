"""From a name to an answer: search, install a checkpoint as Q4_K_M, see its card, chat with it, delete it."""

from pathlib import Path

import pytest

from app.guide import GUIDE_DIR
from tests.e2e.conftest import needs_screen, visit
from tests.e2e.shopping import REPOSITORY
from tests.hub.double import HubDouble, HubRepo

pytestmark = [
    *needs_screen,
    pytest.mark.skipif(not (GUIDE_DIR / "model.safetensors").exists(), reason="the guide's weights are not here"),
]
CARD = "# A guide\n\nIt answers **questions** about one program.\n\n![](http://127.0.0.1:9/pixel.png)\n"


def test_a_person_finds_installs_measures_asks_and_deletes(display: str, tmp_path: Path, hub_double: HubDouble) -> None:
    files = {path.name: path for path in GUIDE_DIR.iterdir() if path.suffix in (".json", ".safetensors")}
    hub_double.add(HubRepo(REPOSITORY, {**files, "README.md": CARD.encode()}, license="mit", downloads=1234))
    hub_double.fail(on="/cdn/*", bytes_per_second=10_000_000)  # or nobody sees it come
    home = tmp_path / "a home with ümlauts"
    seen = visit("shopping", display, home, "llama", HF_ENDPOINT=hub_double.endpoint, HF_TOKEN="")
    assert "once it is converted" in seen["offer"]
    assert {"Download", "Convert", "Quantize"} <= set(seen["steps"])
    assert "Q4_K_M" in seen["arrived"]
    assert "times smaller" in seen["card"]
    assert "KL divergence" in seen["card"]
    assert "Slipstream" in seen["answer"]
    assert not list((home / "models").rglob("*.gguf*")), "deleted with all that belongs to it"
    assert not list((home / "models" / ".installs").glob("*/*"))
    assert all("pixel" not in request.path for request in hub_double.requests)
