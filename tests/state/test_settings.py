from dataclasses import replace
from pathlib import Path

import pytest

from app.settings import Settings
from app.settings_file import load_settings, save_settings
from backends.protocol import DraftMode, EngineOptions, KVType

CHOSEN = Settings(
    theme="dark",
    port=9000,
    serve=False,
    api_key="sk-ключ",
    host="0.0.0.0",
    allow_hosts=("desk.tailnet.ts.net", "*"),
    allow_origins=("http://localhost:3000", "vscode-webview://*"),
    tls_cert=str(Path(__file__).absolute()),
    tls_key=str(Path(__file__).absolute()),
    last_model="a/b.gguf",
    context=4096,
    parallel=2,
    kv_type_k=KVType.Q8_0,
    kv_type_v=KVType.Q4_0,
    draft=DraftMode.OFF,
    threads=3,
    gpu_layers=0,
    prompt_cache_ram=0,
    prompt_cache_disk=16 << 30,
    temperature=0.0,
    system_prompt='Say "yes".\nAlways.',
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Ein stellungen ü" / "settings.toml"


@pytest.mark.parametrize("settings", [Settings(), CHOSEN])
def test_what_is_saved_is_loaded(path: Path, settings: Settings) -> None:
    save_settings(path, settings)
    assert load_settings(path) == (settings, None)
    assert path.read_text("utf-8").startswith("version = 1\n")


def test_no_file_means_defaults_without_a_sentence(path: Path) -> None:
    assert load_settings(path) == (Settings(), None)


def test_broken_files_are_set_aside_one_by_one(path: Path) -> None:
    path.parent.mkdir()
    for number, content in enumerate([b"port = [", b"\xff\xfe"], 1):
        path.write_bytes(content)
        settings, sentence = load_settings(path)
        assert settings == Settings()
        assert sentence is not None
        assert f"settings.toml.broken-{number}" in sentence
        assert path.with_name(f"settings.toml.broken-{number}").read_bytes() == content
        assert not path.exists()


def test_unknown_keys_are_kept_out_with_no_fuss(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('version = 7\ncolour = "red"\nport = 9001\n[later]\nport = 1\n')
    assert load_settings(path) == (Settings(port=9001), None)


@pytest.mark.parametrize(
    "line",
    [
        'port = "8642"',
        "port = 0",
        "port = 65536",
        "port = true",
        "serve = 1",
        'theme = "blue"',
        "theme = []",
        'kv_type_k = "q9"',
        "draft = 1",
        "temperature = nan",
        "temperature = 2.1",
        "context = 1.5",
        "parallel = 0",
        "api_key = 5",
        'allow_origins = ["*"]',
        'allow_hosts = ["http://desk"]',
        'tls_cert = "relative.pem"',
    ],
)
def test_an_unusable_value_costs_only_its_own_key(path: Path, line: str) -> None:
    path.parent.mkdir()
    path.write_text(f'{line}\nsystem_prompt = "kept"\n')
    settings, sentence = load_settings(path)
    assert settings == Settings(system_prompt="kept")
    assert sentence is not None
    assert line.split(" ")[0] in sentence
    assert path.exists()


def test_a_folder_in_its_place_is_set_aside_with_what_is_in_it(path: Path) -> None:
    (path / "mine").mkdir(parents=True)
    settings, sentence = load_settings(path)
    assert settings == Settings()
    assert sentence is not None
    assert "it is a folder, not a file" in sentence
    assert path.with_name("settings.toml.broken-1").joinpath("mine").is_dir()
    save_settings(path, CHOSEN)
    assert load_settings(path) == (CHOSEN, None)


def test_a_failed_save_leaves_the_old_file_and_no_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_settings(path, CHOSEN)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save_settings(path, Settings())
    assert load_settings(path) == (CHOSEN, None)
    assert list(path.parent.iterdir()) == [path]


def test_the_engine_gets_what_was_chosen() -> None:
    assert Settings().engine_options() == EngineOptions()
    options = replace(CHOSEN, threads=None).engine_options()
    assert options == EngineOptions(
        context=4096,
        parallel=2,
        gpu_layers=0,
        prompt_cache_ram=0,
        prompt_cache_disk=16 << 30,
        kv_type_k=KVType.Q8_0,
        kv_type_v=KVType.Q4_0,
        draft=DraftMode.OFF,
    )
    assert Settings(prompt_cache_disk=0).engine_options().prompt_cache_disk is None
