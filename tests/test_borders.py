"""What is loaded where: native libraries stay out of the application's process, Qt out of everything but ui."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NATIVE = {"llama_cpp", "torch", "gguf", "sentencepiece", "tokenizers"}
QT = {"PySide6", "shiboken6", "ui"}

LATE = {"huggingface_hub", "httpx2", "keyring"}  # by whoever asks the Hub, not by the start

COMMANDS = "app.cli.cache, app.cli.convert, app.cli.demo, app.cli.evaluate, app.cli.install, app.cli.models"
COMMANDS += ", app.cli.pull, app.cli.quantize, app.cli.search, app.cli.serve, app.cli.window"
APPLICATION = f"import app.__main__, app.services, {COMMANDS}, app.server.application"
SEVERAL = [
    (APPLICATION, NATIVE | QT | LATE),
    ("import app.services, ui.application", NATIVE | LATE),
    ("import backends.engine.process, backends.registry, backends.fake.loader", NATIVE | QT | {"app"}),
    (
        "import backends.llama.loader, backends.llama.selftest, backends.llama.evaluate",
        QT | {"app", "torch"},
    ),
    ("import backends.llama.quantization.quantize", QT | {"app", "torch"}),
    ("import backends.convert.converter", QT | {"app", "torch", "llama_cpp", "transformers"}),
    ("import backends.protocol", NATIVE | QT | {"app", "numpy"}),
]


@pytest.mark.parametrize(("imports", "forbidden"), SEVERAL)
def test_a_fresh_interpreter_loads_nothing_from_beyond_the_border(imports: str, forbidden: set[str]) -> None:
    program = f"import sys\n{imports}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not forbidden & set(result.stdout.split())


def test_import_contracts_hold() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
