"""Several processes change one small file, and none of the changes is lost."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.library.remarks import Remarks
from app.paths import Paths
from app.services import Services
from app.settings import Settings
from app.settings_file import SettingsFile, load_settings, save_settings
from app.whole_file import changing_file
from tests.patience import PATIENCE

NUM_PROCESSES = 10
NOTE = """
import sys
from pathlib import Path
from app.library.remarks import Remarks
remarks = Remarks(Path(sys.argv[1]))
for number in range(20):
    remarks.change(f"/model {sys.argv[2]} {number}", note="mine")
"""


@pytest.fixture
def services() -> Iterator[Services]:
    services = Services(Paths.from_environment())
    yield services
    services.close()


def add_folder(folder: Path) -> "subprocess.Popen[bytes]":
    folder.mkdir()
    command = [sys.executable, "-m", "app", "models", "--add-folder", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def test_ten_commands_at_once_add_ten_folders(tmp_path: Path) -> None:
    folders = [tmp_path / f"X_{number}" for number in range(NUM_PROCESSES)]
    for command in [add_folder(folder) for folder in folders]:
        assert command.wait(PATIENCE) == 0
    settings, sentence = load_settings(Paths.from_environment().settings_file)
    assert sentence is None
    assert sorted(settings.folders) == sorted(map(str, folders))


def test_the_window_does_not_undo_what_a_command_has_added(services: Services, tmp_path: Path) -> None:
    services.change_settings(lambda settings: replace(settings, temperature=0.5))
    assert add_folder(tmp_path / "models of mine").wait(PATIENCE) == 0
    services.change_settings(lambda settings: replace(settings, theme="dark"))
    settings, _ = load_settings(services.paths.settings_file)
    assert (settings.temperature, settings.theme) == (0.5, "dark")
    assert settings.folders == (str(tmp_path / "models of mine"),)
    assert services.settings == settings


def test_ten_processes_write_their_notes(tmp_path: Path) -> None:
    path = tmp_path / "library.json"
    command = [sys.executable, "-c", NOTE, str(path)]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(NUM_PROCESSES)]
    for writer in writers:
        assert writer.wait(PATIENCE) == 0
    assert len(Remarks(path).all()) == 20 * NUM_PROCESSES


def test_threads_do_not_undo_each_other_either(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "settings.toml")

    def add(number: int) -> None:
        file.change(lambda settings: replace(settings, folders=(*settings.folders, f"/{number}")))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(file.load()[0].folders) == 20


def test_who_holds_the_file_for_good_stops_nobody_for_good(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "settings.toml")
    with changing_file(file.path), pytest.raises(SettingsError, match="another Slipstream is writing it"):
        file.change(lambda settings: replace(settings, theme="dark"), patience=0.1)
    assert file.change(lambda settings: replace(settings, theme="dark")).theme == "dark"


def test_a_change_keeps_a_copy_of_what_this_version_does_not_understand(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    content = 'version = 7\nport = 9001\ntheme = "violet"\ncolour = "red"\n'
    path.write_text(content)
    file = SettingsFile(path)
    assert file.change(lambda settings: replace(settings, parallel=2)) == Settings(port=9001, parallel=2)
    assert file.change(lambda settings: replace(settings, parallel=3)) == Settings(port=9001, parallel=3)
    assert path.with_name("settings.toml.broken-1").read_text() == content
    assert not path.with_name("settings.toml.broken-2").exists()


def test_what_the_next_start_would_not_read_is_not_written(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "settings.toml")
    save_settings(file.path, Settings(theme="dark"))
    for change in ({"system_prompt": "x" * 200_000}, {"system_prompt": "\ud800"}, {"folders": ("relative",)}):
        with pytest.raises(SettingsError, match=next(iter(change))):
            file.change(lambda settings, change=change: replace(settings, **change))
    assert file.load() == (Settings(theme="dark"), None)


def test_a_remark_that_is_none_costs_itself_and_is_not_lost(tmp_path: Path) -> None:
    path, told = tmp_path / "library.json", []
    odd = '"/odd": {"note": 7}, "/worse": [], "/nul": {"check": {"at": "", "is_sound": true, "text": "", "hashes": '
    odd += '[{"path": "a\\u0000b", "bytes": 1, "mtime_ns": 1, "sha256": ""}]}}'
    content = '{"version": 1, "models": {"/good": {"note": "kept", "is_favourite": true}, ' + odd + "}}"
    path.write_text(content)
    remarks = Remarks(path, told.append)
    assert list(remarks.all()) == ["/good"]
    assert told == ["3 of the remarks on models in library.json cannot be understood and do not show."]
    remarks.change("/new", note="n")
    assert list(Remarks(path).all()) == ["/good", "/new"]
    assert path.with_name("library.json.broken-1").read_text() == content


def test_a_model_whose_name_is_no_text_can_be_a_favourite(tmp_path: Path) -> None:
    path, name = tmp_path / "library.json", "/models/\udcff.gguf"
    Remarks(path).change(name, is_favourite=True)
    assert Remarks(path).of(name).is_favourite
