"""The double answers the real huggingface_hub client as the Hub does."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError
from huggingface_hub.utils import close_session
from tqdm import tqdm

from tests.hub.double import HubDouble, HubRepo, many_repos

ROOT = Path(__file__).parents[2]
WEIGHTS = bytes(range(256)) * 4096
CONFIG = b'{"model_type": "llama"}'


@pytest.fixture
def api(hub_double: HubDouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[HfApi]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(tqdm, "monitor_interval", 0)  # else its thread stays
    yield HfApi(endpoint=hub_double.endpoint, token=False)
    close_session()


def test_the_model_page_has_sizes_and_hashes(hub_double: HubDouble, api: HfApi) -> None:
    gguf = {"total": 1000, "architecture": "llama", "context_length": 4096}
    repo = hub_double.add(HubRepo("org/m", {"m.gguf": WEIGHTS, "config.json": CONFIG}, gguf=gguf, downloads=7))
    info = api.model_info("org/m", files_metadata=True)
    assert (info.sha, info.downloads, info.gguf, info.gated) == (repo.sha, 7, gguf, False)
    config, weights = info.siblings
    assert (weights.rfilename, weights.size) == ("m.gguf", len(WEIGHTS))
    assert weights.lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert (config.size, config.lfs) == (len(CONFIG), None)
    assert config.blob_id == hashlib.sha1(b"blob %d\0" % len(CONFIG) + CONFIG).hexdigest()


def test_search_filters_sorts_and_pages(hub_double: HubDouble, api: HfApi) -> None:
    hub_double.repos.update({repo.id: repo for repo in many_repos(5000)})
    found = list(api.list_models(search="model-0", filter=["gguf", "qwen3"], sort="downloads", limit=1500))
    assert len(found) == 1500
    assert [model.downloads for model in found] == sorted((model.downloads for model in found), reverse=True)
    assert all("qwen3" in model.tags for model in found)
    assert len([seen for seen in hub_double.requests if seen.path == "/api/models"]) >= 1
    assert len(list(api.list_models())) == 5000


def test_the_tree_and_single_paths(hub_double: HubDouble, api: HfApi) -> None:
    hub_double.add(HubRepo("org/m", {"a/m.gguf": WEIGHTS, **{f"part-{n:04}.json": CONFIG for n in range(1200)}}))
    assert len(list(api.list_repo_tree("org/m", recursive=True))) == 1201
    (entry,) = api.get_paths_info("org/m", ["a/m.gguf"])
    assert entry.lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()


def test_a_file_comes_from_the_cdn_without_the_token(hub_double: HubDouble, api: HfApi, tmp_path: Path) -> None:
    hub_double.tokens["hf_good"] = "alice"
    hub_double.add(HubRepo("org/m", {"m.gguf": WEIGHTS, "config.json": CONFIG}, gated="auto", granted={"hf_good"}))
    for name, content in (("m.gguf", WEIGHTS), ("config.json", CONFIG)):
        path = hf_hub_download(
            "org/m", name, endpoint=hub_double.endpoint, local_dir=tmp_path / "here", token="hf_good"
        )
        assert Path(path).read_bytes() == content
    (cdn,) = [seen for seen in hub_double.requests if seen.server == "cdn"]
    assert "authorization" not in cdn.headers
    assert cdn.bytes_sent == len(WEIGHTS)
    assert api.whoami(token="hf_good")["name"] == "alice"


def test_refusals_carry_the_codes_that_the_client_knows(hub_double: HubDouble, api: HfApi, tmp_path: Path) -> None:
    hub_double.add(HubRepo("org/gated", {"m.gguf": WEIGHTS}, gated="manual"))
    hub_double.add(HubRepo("org/open", {"m.gguf": WEIGHTS}))
    with pytest.raises(GatedRepoError):
        api.auth_check("org/gated")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("org/none")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download("org/open", "none.gguf", endpoint=hub_double.endpoint, local_dir=tmp_path, token=False)


def test_xet_headers_only_where_wanted(hub_double: HubDouble, api: HfApi) -> None:
    hub_double.add(HubRepo("org/m", {"m.gguf": WEIGHTS}, xet=True))
    metadata = api.get_hf_file_metadata(url=hub_double.address("org/m", "m.gguf"))
    assert metadata.xet_file_data is not None
    assert metadata.size == len(WEIGHTS)


def test_a_folder_is_served_by_hand(tmp_path: Path) -> None:
    (tmp_path / "org" / "m").mkdir(parents=True)
    (tmp_path / "org" / "m" / "m.gguf").write_bytes(WEIGHTS)
    command = [sys.executable, "-m", "tests.hub.double", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        with urlopen(f"{server.stdout.readline().strip()}/org/m/resolve/main/m.gguf") as answer:
            assert answer.read() == WEIGHTS
        server.terminate()
    assert server.returncode == 0
