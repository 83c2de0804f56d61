"""What is loaded where: native libraries stay out of the application's process, Qt out of everything but ui."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NATIVE = {"llama_cpp", "torch", "gguf", "sentencepiece", "tokenizers"}
QT = {"PySide6", "shiboken6", "ui"}

LATE = {"huggingface_hub", "httpx2", "keyring", "mcp"}  # by whoever asks the Hub or a tool server, not by the start

COMMANDS = (
    "app.cli.bench, app.cli.cache, app.cli.convert, app.cli.demo, app.cli.evaluate, app.cli.install, app.cli.models"
)
COMMANDS += ", app.cli.pull, app.cli.quantize, app.cli.search, app.cli.serve, app.cli.tune, app.cli.window"
COMMANDS += ", app.cli.builds, app.cli.doctor, app.jobs.make_build"
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


DELETING = {"rmtree", "unlink", "rmdir", "remove", "removedirs", "TemporaryDirectory"}
LISTS = {"remove"}  # lists and sets have it too: of these only the system's
# folders of this very call, made in the system's place for such, which it clears itself
OWN = {"app/makeshift.py", "app/cli/quantize.py"}
OWN |= {f"backends/llama/{name}.py" for name in ("canary", "rates", "selftest")}


def _deletions(path: Path) -> list[str]:
    """Calls by name, and such functions handed on."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in DELETING:
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr not in LISTS or owner in ("os", "shutil", "Path"):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.attr}")
        if isinstance(node, ast.ImportFrom) and node.module in ("os", "shutil", "tempfile"):
            found += [f"{path.relative_to(ROOT)}:{node.lineno} {n.name}" for n in node.names if n.name in DELETING]
    return found


def test_only_one_place_deletes() -> None:
    files = [path for package in ("app", "backends", "ui") for path in (ROOT / package).rglob("*.py")]
    outside = [path for path in files if not path.is_relative_to(ROOT / "backends" / "ownership")]
    found = [each for path in outside for each in _deletions(path)]
    assert {each.partition(":")[0] for each in found if each.endswith(" TemporaryDirectory")} == OWN
    assert [each for each in found if not each.endswith(" TemporaryDirectory")] == []


def test_that_place_is_looked_for() -> None:
    """The test above sees what it looks for."""
    seen = _deletions(ROOT / "backends" / "ownership" / "by_handle.py")
    assert {each.rpartition(" ")[2] for each in seen} == {"unlink", "rmdir"}
