"""The client over real HTTP against the double: search, a repository's page, and the token's way."""

import json
from collections.abc import Iterator

import pytest

from app.errors import HubError, HubFault
from app.hub.client import PAGE, HubClient
from app.hub.repository import Format, Gate, SearchQuery, Sort, VariantKind
from tests.hub.double import HubDouble, HubRepo, many_repos
from tests.library.gguf_bytes import model

TOKEN = "hf_good_token"
CARD = b"---\nlicense: mit\n---\n# Hello\n![x](http://evil/x.png)"


@pytest.fixture
def client(hub_double: HubDouble) -> Iterator[HubClient]:
    result = HubClient(hub_double.endpoint, token=lambda: None)
    yield result
    result.close()


@pytest.fixture
def known(hub_double: HubDouble) -> Iterator[HubClient]:
    hub_double.tokens[TOKEN] = "alice"
    result = HubClient(hub_double.endpoint, token=lambda: TOKEN)
    yield result
    result.close()


def test_search_hands_facets_on_and_reads_what_comes(hub_double: HubDouble, client: HubClient) -> None:
    facts = {"total": 8_000_000_000, "architecture": "qwen3", "context_length": 40960}
    hub_double.add(HubRepo("org/big-GGUF", {"m.gguf": b""}, gguf=facts, downloads=7, likes=2, gated="auto"))
    hub_double.add(HubRepo("org/small-GGUF", {"m.gguf": b""}, gguf={**facts, "total": 600_000_000}))
    hub_double.add(HubRepo("org/big", {"m.safetensors": b""}, safetensors={"total": 8_000_000_000}))
    hub_double.add(HubRepo("else/big-GGUF", {"m.gguf": b""}, license="mit", gguf=facts))
    query = SearchQuery(
        "  BIG  ", Format.GGUF, Sort.LIKES, "apache-2.0", "qwen3", "org", min_parameters=10**9, max_parameters=10**10
    )
    (hit,) = client.search(query)
    assert (hit.id, hit.parameters, hit.architecture, hit.context) == ("org/big-GGUF", 8_000_000_000, "qwen3", 40960)
    assert (hit.gate, hit.license, hit.formats) == (Gate.AUTO, "apache-2.0", (Format.GGUF,))
    assert (hit.downloads, hit.likes, hit.updated.isoformat()) == (7, 2, "2026-02-03T04:05:06+00:00")  # type: ignore[union-attr]
    asked = hub_double.requests[0].query
    assert asked["search"] == ["BIG"]
    assert asked["filter"] == ["gguf", "license:apache-2.0"]
    assert (asked["sort"], asked["num_parameters"], asked["author"]) == (["likes"], ["min:1000M,max:10000M"], ["org"])


def test_pages_follow_one_another_without_a_gap(hub_double: HubDouble, client: HubClient) -> None:
    hub_double.repos.update({repo.id: repo for repo in many_repos(75)})
    page, found = client.page(SearchQuery("model")), []
    found += page.hits
    while page.following:
        page = client.page(SearchQuery("model"), following=page.following)
        found += page.hits
    assert len({hit.id for hit in found}) == len(found) == 75
    assert [hit.downloads for hit in found] == sorted((hit.downloads for hit in found), reverse=True)
    assert len(hub_double.requests) == 3
    assert len(client.search(SearchQuery("model"), limit=70)) == 70


def test_the_next_page_is_asked_of_our_own_hub_wherever_the_link_points(
    hub_double: HubDouble, client: HubClient
) -> None:
    link = '<https://evil.example/api/models?cursor=0&limit=3>; rel="next"'
    hub_double.fail(on="/api/models", status=200, body=b'[{"id": "a/b"}]', headers={"Link": link}, times=1)
    page = client.page(SearchQuery("b"), limit=1)
    hub_double.add(HubRepo("org/m"))
    assert [hit.id for hit in client.page(SearchQuery("b"), following=page.following).hits] == ["org/m"]


def test_an_architecture_that_the_hub_does_not_sort_by_is_sorted_here(hub_double: HubDouble, client: HubClient) -> None:
    for number in range(2 * PAGE):
        kind = "llama" if number % 10 else "qwen3"
        hub_double.add(HubRepo(f"org/m{number:03}", {"m.gguf": b""}, gguf={"total": 1000, "architecture": kind}))
    query = SearchQuery(format=Format.GGUF, architecture="qwen3")
    assert len(client.search(query, 30)) == 6
    assert len(hub_double.requests) == 1


def test_an_architecture_answers_to_both_of_its_names(hub_double: HubDouble, client: HubClient) -> None:
    for name in ("qwen3_moe", "qwen3moe", "qwen3", "gemma3_text"):
        hub_double.add(HubRepo(f"org/{name}", {"m.safetensors": b""}, tags=(name,), config={"model_type": name}))
    assert {hit.id for hit in client.search(SearchQuery(architecture="qwen3moe"))} == {"org/qwen3_moe", "org/qwen3moe"}
    assert [hit.id for hit in client.search(SearchQuery(architecture="gemma3"))] == ["org/gemma3_text"]
    hits = client.search(SearchQuery(architecture="qwen3moe", format=Format.SAFETENSORS))
    assert [hit.id for hit in hits] == ["org/qwen3_moe"]


def test_a_search_for_what_is_rare_ends(hub_double: HubDouble, client: HubClient) -> None:
    hub_double.repos.update({repo.id: repo for repo in many_repos(3200)})
    assert client.search(SearchQuery(architecture="rwkv")) == []
    assert len(hub_double.requests) <= 30


def test_a_renamed_repository_has_its_new_name(hub_double: HubDouble, client: HubClient) -> None:
    hub_double.add(HubRepo("new/m", {"m-Q8_0.gguf": b""}))
    hub_double.fail(on="/api/models/old/m", redirect_to="/api/models/new/m?blobs=true")
    assert client.repository("old/m").id == "new/m"


def test_a_repository_has_files_hashes_card_and_variants(hub_double: HubDouble, client: HubClient) -> None:
    content = model()
    files = {"m-Q4_K_M.gguf": content, "README.md": CARD, ".gitattributes": b"x", "config.json": b"{}"}
    repo = hub_double.add(HubRepo("org/m", files, gguf={"total": 5, "architecture": "llama", "context_length": 9}))
    found = client.repository("org/m")
    assert (found.commit, found.license, found.card) == (repo.sha, "apache-2.0", "# Hello")
    assert (found.parameters, found.architecture, found.context) == (5, "llama", 9)
    assert found.page == f"{hub_double.endpoint}/org/m"
    by_path = {file.path: file for file in found.files}
    assert set(by_path) == {"m-Q4_K_M.gguf", "README.md", "config.json"}
    assert (by_path["m-Q4_K_M.gguf"].sha256, by_path["m-Q4_K_M.gguf"].blob_id) == (
        repo.file("m-Q4_K_M.gguf").sha256,  # type: ignore[union-attr]
        None,
    )
    assert by_path["config.json"].blob_id == repo.file("config.json").oid  # type: ignore[union-attr]
    assert [variant.label for variant in found.variants] == ["Q4_K_M"]


def test_the_index_says_which_shards_belong_to_a_checkpoint(hub_double: HubDouble, client: HubClient) -> None:
    index = json.dumps({"weight_map": {"a": "w-1.safetensors", "b": "w-2.safetensors"}}).encode()
    files = {"config.json": b"{}", "model.safetensors.index.json": index}
    hub_double.add(HubRepo("org/m", {**files, "w-1.safetensors": b"1", "w-2.safetensors": b"2", "x.safetensors": b"3"}))
    (found,) = client.repository("org/m").variants
    assert found.kind is VariantKind.CHECKPOINT
    assert [file.path for file in found.files[-2:]] == ["w-1.safetensors", "w-2.safetensors"]


def test_a_gated_repository_shows_its_files_and_where_to_ask(hub_double: HubDouble, client: HubClient) -> None:
    hub_double.add(HubRepo("org/m", {"m-Q8_0.gguf": model(), "README.md": CARD}, gated="manual"))
    found = client.repository("org/m")
    assert (found.gate, found.card, len(found.variants)) == (Gate.MANUAL, "", 1)
    with pytest.raises(HubError, match="given only to people who asked") as raised:
        client.peek_header("org/m", found.commit, found.variants[0].files[0])
    assert (raised.value.kind, raised.value.link) == (HubFault.GATED, f"{hub_double.endpoint}/org/m")


def test_the_token_goes_to_the_hub_and_not_to_its_cdn(hub_double: HubDouble, known: HubClient) -> None:
    hub_double.add(HubRepo("org/m", {"m-Q8_0.gguf": model()}, gated="auto", granted={TOKEN}))
    found = known.repository("org/m")
    header = known.peek_header("org/m", found.commit, found.variants[0].files[0])
    assert header.architecture == "llama"
    assert {seen.headers.get("authorization") for seen in hub_double.requests if seen.server == "hub"} == {
        f"Bearer {TOKEN}"
    }
    (cdn,) = [seen for seen in hub_double.requests if seen.server == "cdn"]
    assert "authorization" not in cdn.headers


def test_the_token_is_in_no_text_about_the_client(known: HubClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with pytest.raises(HubError) as raised:
        known.repository("org/none")
    seen = [repr(known), str(known), repr(raised.value), caplog.text, repr(known.__dict__)]
    assert not any(TOKEN in text for text in seen)


def test_no_question_is_asked_but_ours(hub_double: HubDouble, client: HubClient) -> None:
    hub_double.add(HubRepo("org/m", {"README.md": CARD}))
    client.search(SearchQuery("m"))
    client.repository("org/m")
    paths = [seen.path for seen in hub_double.requests]
    assert paths[:2] == ["/api/models", "/api/models/org/m"]
    assert all("/resolve/" in path for path in paths[2:])
    assert len(paths) == 3


def test_addresses_for_the_downloader(hub_double: HubDouble, known: HubClient) -> None:
    commit = "a" * 40
    address = known.file_address("org/m", commit, "a b/Größe.gguf")
    assert address == f"{hub_double.endpoint}/org/m/resolve/{commit}/a%20b/Gr%C3%B6%C3%9Fe.gguf"
    assert known.headers() == {"Authorization": f"Bearer {TOKEN}"}
    for id_, path in (("../m", "x"), ("org/m", "../x"), ("org/m", "a\\..\\x")):
        with pytest.raises(HubError):
            known.file_address(id_, commit, path)


def test_the_endpoint_is_the_environments_at_the_time_of_asking(
    hub_double: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_double.add(HubRepo("org/m"))
    client = HubClient(token=lambda: None)
    monkeypatch.setenv("HF_ENDPOINT", hub_double.endpoint + "/")
    assert [hit.id for hit in client.search(SearchQuery("m"))] == ["org/m"]
    monkeypatch.setenv("HF_ENDPOINT", "ftp://example.org")
    with pytest.raises(HubError, match="Set HF_ENDPOINT to one like"):
        client.search(SearchQuery("m"))
    client.close()
