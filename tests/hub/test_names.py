"""Names from the network: nothing that could leave its folder is taken, however it is written."""

import pytest

from app.errors import HubError
from app.hub.names import checked_path, checked_repository, checked_revision, is_hostile

HOSTILE = (
    "../evil",
    "a/../../evil",
    "..\\evil",
    "a\\..\\evil",
    "/etc/passwd",
    "\\\\server\\share",
    "C:evil",
    "C:\\evil",
    "c:/evil",
    "a/..%2fevil.txt",
    "%2e%2e/evil",
    "%252e%252e%252fevil",
    "a%5c..%5cevil",
    "a\0.gguf",
    "a%00.gguf",
)
USELESS = (
    "",
    "a//b",
    "nul.gguf",
    "COM1",
    "a/aux",
    "file.",
    "file ",
    "file:stream",
    "what?.gguf",
    "a*b",
    "x\ny",
    "a%20b",
)
PLAIN = ("model.gguf", "UD-Q4_K_XL/model-00001-of-00002.gguf", "1_Pooling/config.json", "Größe.gguf", "a b.gguf")


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_leaves_its_folder_is_refused_with_a_sentence(path: str) -> None:
    assert is_hostile(path)
    with pytest.raises(HubError, match="Nothing of it is installed"):
        checked_path(path)


@pytest.mark.parametrize("path", [*USELESS, "a/" * 20 + "b", "x" * 600])
def test_a_name_that_some_system_cannot_hold_is_refused(path: str) -> None:
    assert not is_hostile(path)
    with pytest.raises(HubError, match="cannot be the name of a file"):
        checked_path(path)


@pytest.mark.parametrize("path", PLAIN)
def test_an_ordinary_path_is_taken_as_it_is(path: str) -> None:
    assert checked_path(path) == path


@pytest.mark.parametrize("id_", ["org/model", "gpt2", "Qwen/Qwen3-8B-GGUF", "a_b/c.d"])
def test_a_repository_name_is_taken(id_: str) -> None:
    assert checked_repository(id_) == id_


@pytest.mark.parametrize(
    "id_",
    ["", "a/b/c", "../b", "a/..", "a/b.git", "-a/b", "a/b\n", "a b/c", "a/b?x=1", "a/b#", "a//b", "a\\b", "%2e/b"],
)
def test_what_is_no_repository_name_is_refused(id_: str) -> None:
    with pytest.raises(HubError, match="not the name of a repository"):
        checked_repository(id_)


def test_revisions_stay_in_their_place() -> None:
    assert checked_revision("refs/pr/3") == "refs/pr/3"
    for revision in ("", "../x", "a//b", "main?x", "a b", "-x"):
        with pytest.raises(HubError, match="not the name of a revision"):
            checked_revision(revision)
