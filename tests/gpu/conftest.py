"""A device that llama.cpp takes for a GPU: the software one of `make gpu-test`, or a real one.

Models are tiny: the software device computes a few million weights in a second.
"""

import fcntl
import json
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from app.errors import Cancelled
from app.inference.build import build_key
from app.inference.planning import Planning
from app.inference.preflight import Preflight, Verdict
from app.inference.supervisor import EngineHandle, Supervisor
from app.jobs.child import run_in_child
from app.planner.plan import Plan
from app.residency.machine import MachineMemory, PlannedCosts
from app.residency.residency import Residency
from backends.protocol import EngineOptions
from backends.with_build import LIBRARIES
from tests.gpu import stand_in
from tests.gpu.children import Seen
from tests.inference.conftest import SECONDS
from tests.llama.conftest import make_model
from tests.patience import PATIENCE

Load = Callable[..., EngineHandle]
Confirmed = Callable[[Path, EngineOptions], Plan]
BYTES_PER_CELL = 2048  # of the tiny model's cache
NUM_PLACES = 64  # NUM_PROCESSES of card.c


@pytest.fixture(autouse=True)
def _device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whose memory nobody else has any: each test has a card to itself."""
    if LIBRARIES not in os.environ:
        pytest.fail("These tests need an engine build with a GPU. Run: make gpu-test")
    if stand_in.is_used():
        monkeypatch.setenv(stand_in.CARD, str(tmp_path / "card"))


@pytest.fixture
def small_card(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the card so small for the processes that start from now on."""
    _require_stand_in()
    return lambda num_bytes: monkeypatch.setenv(stand_in.CARD_BYTES, str(num_bytes))


@pytest.fixture
def take_all(_device: None) -> Iterator[Callable[[], None]]:
    """Takes what is left of the card, as another program would: it stands in the card's books (card.c)."""
    _require_stand_in()
    books = os.open(os.environ[stand_in.CARD], os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(books, NUM_PLACES * struct.calcsize("=Q"))
    fcntl.lockf(books, fcntl.LOCK_EX, 1, NUM_PLACES)  # the last place is this process's, while it lives

    def take() -> None:
        fcntl.lockf(books, fcntl.LOCK_EX, 1, 0)
        held = [number for (number,) in struct.iter_unpack("=Q", os.pread(books, 8 * NUM_PLACES, 0))]
        left = int(os.environ.get(stand_in.CARD_BYTES, 2 << 30)) - sum(held)
        os.pwrite(books, struct.pack("=Q", left), 8 * (NUM_PLACES - 1))
        fcntl.lockf(books, fcntl.LOCK_UN, 1, 0)

    yield take
    os.close(books)


@pytest.fixture
def lost_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Loses the device of the engines that start from now on, when it is called."""
    _require_stand_in()
    sign = tmp_path / "lost"
    monkeypatch.setenv(stand_in.LOST, str(sign))
    return sign.touch


def _require_stand_in() -> None:
    if not stand_in.is_used():
        pytest.skip("a real GPU keeps its memory, and is not lost at will: only the software device does that")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory, "tiny", num_hidden_layers=4)


@pytest.fixture(scope="session")
def draft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory, "draft", num_hidden_layers=4)


@pytest.fixture
def planning(tmp_path: Path) -> Planning:
    return Planning(tmp_path / "cache", tmp_path / "logs", build_key)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """The self-test is known: its prompt of 1,024 tokens takes a software device minutes."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "selftest.json").write_text(json.dumps({build_key(): asdict(Verdict(True, 1.0))}))
    supervisor = Supervisor(tmp_path / "logs", Preflight(cache, tmp_path / "logs"))
    yield supervisor
    supervisor.close()


@pytest.fixture
def residency(supervisor: Supervisor, planning: Planning) -> Residency:
    """As the app has it: a load is planned for what the devices have when its turn comes."""
    memory = MachineMemory(lambda: None, planning.machine)
    return Residency(supervisor, PlannedCosts(lambda: planning, lambda: memory.machine), memory)


@pytest.fixture
def confirmed(planning: Planning) -> Confirmed:
    """The plan of a load: by what llama.cpp has said of the one before it, which a load asks for, too."""

    def confirmed(file: Path, options: EngineOptions) -> Plan:
        planning.confirm(file, planning.plan(file, options))
        return planning.plan(file, options)

    return confirmed


@pytest.fixture
def load(residency: Residency) -> Load:
    def load(model: Path, name: str = "tiny", **options: object) -> EngineHandle:
        handle = residency.load(name, model, EngineOptions(**options))  # type: ignore[arg-type]
        handle.wait_ready(SECONDS)
        return handle

    return load


@pytest.fixture
def in_child(tmp_path: Path) -> Callable[..., object]:
    """Calls a function of `tests.gpu.children` in a process of its own."""

    def call(name: str, **arguments: object) -> object:
        return run_in_child(f"tests.gpu.children:{name}", log_path=tmp_path / f"{name}.log", **arguments)

    return call


@pytest.fixture
def held(tiny: Path, tmp_path: Path) -> Callable[..., object]:
    """While the block runs, another process has so many bytes of the device's memory."""

    @contextmanager
    def held(num_bytes: int) -> Iterator[None]:
        holds, ended = threading.Event(), threading.Event()
        hold = partial(
            run_in_child,
            "tests.gpu.children:hold",
            log_path=tmp_path / "hold.log",
            on_progress=lambda _: holds.set(),
            cancelled=ended,
            path=tiny,
            num_cells=num_bytes // BYTES_PER_CELL,
        )

        def run() -> None:
            with pytest.raises(Cancelled):
                hold()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert holds.wait(PATIENCE)
            yield
        finally:
            ended.set()
            thread.join()

    return held


@pytest.fixture
def device(in_child: Callable[..., Seen]) -> Seen:
    """As it is before the test."""
    return in_child("look")
