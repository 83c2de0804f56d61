"""The library with 5,000 models: `python -m tests.bench.library [--count 5000]`, in milliseconds.

A third lies in LM Studio's two levels, a third in one folder, the rest with Ollama, in the Hub's cache and managed.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.library.index import Index
from app.library.library import Library
from app.library.places import all_places
from app.library.remarks import Remarks
from app.library.store import ModelStore
from app.settings import FOREIGN
from tests.library import foreign
from tests.library.gguf_bytes import model

RESULTS = Path(__file__).parent / "results"
ROUNDS = 15


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        fill(home, count)
        report = measure(home)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "library.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(report, indent=1))
    return 0


def fill(home: Path, count: int) -> None:
    third = count // 3
    raw = model(settings=foreign.SMALL)
    for number in range(third):
        folder = home / ".lmstudio" / "models" / f"org{number % 40}" / f"repo{number // 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"model-{number}-Q4_K_M.gguf").write_bytes(raw)
    flat = home / "drive"
    flat.mkdir()
    for number in range(third):
        (flat / f"flat-{number}.gguf").write_bytes(raw)
    rest = count - 2 * third
    store = ModelStore(home / "managed")
    for number in range(rest):
        unlike = model(settings={**foreign.SMALL, "general.name": f"m{number}"})
        if number % 4 == 0:
            file = home / "in" / f"own-{number}.gguf"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(unlike)
            store.add(file, publisher=f"p{number % 20}", repo=f"r{number}")
        elif number % 4 == 1:
            foreign.hf_cache(home / ".cache/huggingface/hub", f"org/repo{number}", {f"m{number}.gguf": unlike})
        else:
            foreign.ollama(home / ".ollama/models", f"m{number}:latest", unlike, params="{}")


def measure(home: Path) -> dict[str, Any]:
    first, cold = timed(lambda: new_library(home).models())
    library = new_library(home)
    _, restart = timed(library.models)
    warm = [timed(library.models)[1] for _ in range(ROUNDS)]
    return {
        "models": len(first),
        "first_ms": round(cold, 1),
        "after_restart_ms": round(restart, 1),
        "warm_median_ms": round(statistics.median(warm), 1),
        "warm_max_ms": round(max(warm), 1),
        **shelf(library),
    }


def shelf(library: Library) -> dict[str, float]:
    """What a letter in the search field costs the window."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtWidgets import QApplication

    from ui.bridge import Bridge
    from ui.library.models_model import ModelsModel
    from ui.library.shelf_model import Order, ShelfModel

    application = QApplication.instance() or QApplication(sys.argv)
    bridge = Bridge(application)
    models = ModelsModel(library, bridge)
    models.beginResetModel()
    models.entries = library.models()
    models.endResetModel()
    listed = ShelfModel(models)
    letters = [timed(lambda text=text: listed.search(text))[1] for text in ("m", "mo", "mod", "q4", "llama 77", "")]
    orders = [timed(lambda order=order: listed.sort_by(order))[1] for order in Order]
    bridge.close()
    return {"filter_max_ms": round(max(letters), 1), "sort_max_ms": round(max(orders), 1)}


def new_library(home: Path) -> Library:
    return Library(
        ModelStore(home / "managed"),
        Index(home / "index.sqlite3"),
        Remarks(home / "remarks.json"),
        lambda: all_places([str(home / "drive")], FOREIGN, {}, home),
    )


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    result = work()
    return result, 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
