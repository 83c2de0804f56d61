"""What is read back from disk, or comes from the Hub, is checked as if a stranger had written it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.errors import InstallError, ModelFileError
from app.hub.repository import HubFile, Repository, Variant, VariantKind
from app.jobs.choice import choose, parse_name
from app.jobs.install_record import FILE_NAME, InstallRecord, Made, Step, read_record, write_record
from app.jobs.install_request import Aim, InstallRequest

COMMIT, SHA256 = "c" * 40, "a" * 64
FILE = HubFile("sub/model-Q4_K_M.gguf", 100, SHA256)
REQUEST = InstallRequest("org/repo", COMMIT, (FILE,), Aim.GGUF, "Q4_K_M", HubFile("mmproj.gguf", 5, SHA256), 1000)
RECORD = InstallRecord(REQUEST, {Step.DOWNLOAD: (Made("model-Q4_K_M.gguf", 100, SHA256),)}, "a note")


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    assert read_record(tmp_path) == RECORD
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


Change = Callable[[dict[str, Any]], object]
HOSTILE: dict[str, Change] = {
    "another version": lambda d: d.update(version=2),
    "no request": lambda d: d.pop("request"),
    "a list": lambda d: d.update(request=[]),
    "a way out": lambda d: d["request"]["files"][0].update(path="../../evil.gguf"),
    "a way out on Windows": lambda d: d["request"]["files"][0].update(path="..\\evil.gguf"),
    "a repository that leads out": lambda d: d["request"].update(repository_id="../x"),
    "a commit that is an address": lambda d: d["request"].update(commit="main/../x"),
    "a negative size": lambda d: d["request"]["files"][0].update(bytes=-1),
    "a size that is true": lambda d: d["request"]["files"][0].update(bytes=True),
    "an endless size": lambda d: d["request"]["files"][0].update(bytes=1 << 60),
    "a hash that is none": lambda d: d["request"]["files"][0].update(sha256="x"),
    "a hash that is a number": lambda d: d["request"]["files"][0].update(sha256=7),
    "too many files": lambda d: d["request"].update(files=[{}] * 100_000),
    "no files": lambda d: d["request"].update(files=[]),
    "an aim unknown": lambda d: d["request"].update(aim="fly"),
    "a step unknown": lambda d: d["done"].update(fly=[]),
    "a made file elsewhere": lambda d: d["done"]["download"][0].update(name="/etc/passwd"),
    "a made size that is text": lambda d: d["done"]["download"][0].update(bytes="1"),
    "two files of one name": lambda d: d["request"].update(files=d["request"]["files"] * 2),
    "half a billion parameters of text": lambda d: d["request"].update(parameters="many"),
}


@pytest.mark.parametrize("change", HOSTILE)
def test_a_record_that_lies_is_not_believed(change: str, tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    document = json.loads((tmp_path / FILE_NAME).read_text())
    HOSTILE[change](document)
    (tmp_path / FILE_NAME).write_text(json.dumps(document))
    with pytest.raises(InstallError):
        read_record(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_record_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(InstallError):
        read_record(tmp_path)


def test_a_quantization_that_is_none_is_refused_before_any_download() -> None:
    with pytest.raises(ModelFileError, match="Q4_K_M is a good first choice"):
        InstallRequest("org/repo", COMMIT, (HubFile("model.safetensors", 1),), Aim.MODEL, "Q4_KM")


def gguf(label: str) -> Variant:
    return Variant(label, VariantKind.GGUF, (HubFile(f"{label}/m-{label}.gguf", 9, SHA256),), label, 9)


CHECKPOINT = Variant("Checkpoint", VariantKind.CHECKPOINT, (HubFile("model.safetensors", 9, SHA256),), None, 9)
SEVERAL = Repository("org/r", COMMIT, (), (gguf("Q4_K_M"), gguf("Q8_0"), CHECKPOINT))
ODD = Repository("org/r", COMMIT, (), (gguf("Q5_K_S"), gguf("Q8_0")))
ALONE = Repository("org/r", COMMIT, (), (CHECKPOINT,))


@pytest.mark.parametrize(
    ("repository", "name", "converts", "aim", "quantization"),
    [
        (SEVERAL, "org/r", True, Aim.GGUF, "Q4_K_M"),
        (SEVERAL, "org/r:q8_0", True, Aim.GGUF, "Q8_0"),
        (SEVERAL, "org/r/Q8_0/m-Q8_0.gguf", False, Aim.GGUF, "Q8_0"),
        (SEVERAL, "org/r:Q6_K", True, Aim.MODEL, "Q6_K"),  # nobody offers it, so it is made
        (ALONE, "org/r", True, Aim.MODEL, "Q4_K_M"),
        (ALONE, "org/r", False, Aim.CHECKPOINT, None),
    ],
)
def test_a_name_chooses_what_a_person_means(
    repository: Repository, name: str, converts: bool, aim: Aim, quantization: str | None
) -> None:
    request = choose(repository, parse_name(name), converts=converts)
    assert (request.aim, request.quantization) == (aim, quantization)


@pytest.mark.parametrize(
    ("repository", "name", "converts"),
    [(ODD, "org/r", True), (SEVERAL, "org/r:Q6_K", False), (ODD, "org/r/x.gguf", True)],
)
def test_a_name_that_could_be_several_things_is_asked_about(repository: Repository, name: str, converts: bool) -> None:
    with pytest.raises(InstallError, match=r"Name one of these after a colon: .*Q8_0"):
        choose(repository, parse_name(name), converts=converts)


@pytest.mark.parametrize("name", ["", "model", "a/", "/b", "a/b:", "a//b", "a/b/c.gguf:Q4_K_M"])
def test_a_name_that_names_nothing_is_wrong_usage(name: str) -> None:
    with pytest.raises(Exception, match="names nothing on the Hub"):
        parse_name(name)
