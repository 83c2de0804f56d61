"""The Hub's JSON as our values. Trusts nothing in it: what has not the expected form counts as not said."""

from collections.abc import Mapping
from typing import Any

from app.errors import HubError
from app.hub import fields
from app.hub.names import COMMIT, checked_path, checked_repository, is_hostile
from app.hub.repository import Format, Gate, HubFile, RepositorySummary

HEX = frozenset("0123456789abcdef")
LICENSE_TAG = "license:"


def summary(value: Any) -> RepositorySummary | None:
    """One hit of a search; None when it has no usable name."""
    item = fields.mapping(value)
    try:
        id_ = checked_repository(fields.text(item.get("id") or item.get("modelId")) or "")
    except HubError:
        return None
    tags = fields.tags(item.get("tags"))
    return RepositorySummary(
        id=id_,
        gate=gate(item),
        tags=tags,
        downloads=fields.number(item.get("downloads")) or 0,
        likes=fields.number(item.get("likes")) or 0,
        updated=fields.moment(item.get("lastModified")),
        license=license_of(item),
        architecture=architecture(item),
        parameters=parameters(item),
        context=context(item),
        formats=tuple(format_ for format_ in Format if format_.value in tags),
    )


def renamed(item: Mapping[str, Any], asked: str) -> str:
    """The repository's name today: the Hub follows renames and any spelling of letters."""
    try:
        return checked_repository(fields.text(item.get("id")) or asked)
    except HubError:
        return asked


def commit(item: Mapping[str, Any]) -> str | None:
    sha = item.get("sha")
    return sha if isinstance(sha, str) and COMMIT.fullmatch(sha) else None


def files(item: Mapping[str, Any]) -> tuple[HubFile, ...]:
    """Those that can lie on any disk. Raises HubError when one of them tries to leave its folder."""
    found: dict[str, HubFile] = {}
    for sibling in map(fields.mapping, fields.items(item.get("siblings"))):
        path = sibling.get("rfilename")
        if not isinstance(path, str) or _is_of_no_use(path):
            continue
        file = _file(path, sibling)
        if file is not None:
            found.setdefault(path.lower(), file)  # two names that differ in case alone are one file on some disks
    return tuple(found.values())


def _is_of_no_use(path: str) -> bool:
    """A name such as .gitattributes, or one that some system cannot hold. A hostile one is not let pass here."""
    if is_hostile(path):
        checked_path(path)
    try:
        checked_path(path)
    except HubError:
        return True
    return False


def _file(path: str, sibling: Mapping[str, Any]) -> HubFile | None:
    lfs = fields.mapping(sibling.get("lfs"))
    size = fields.number(lfs.get("size") if lfs else sibling.get("size"))
    if size is None:
        return None
    sha256 = _hash(lfs.get("sha256") or lfs.get("oid"), 64)
    return HubFile(path, size, sha256, None if lfs else _hash(sibling.get("blobId"), 40))


def _hash(value: Any, length: int) -> str | None:
    if isinstance(value, str) and len(value) == length and HEX.issuperset(value.lower()):
        return value.lower()
    return None


def gate(item: Mapping[str, Any]) -> Gate:
    value = item.get("gated")
    if value in (None, False, "false"):
        return Gate.NO
    return Gate.AUTO if value == "auto" else Gate.MANUAL


def license_of(item: Mapping[str, Any]) -> str | None:
    for tag in fields.tags(item.get("tags")):
        if tag.startswith(LICENSE_TAG):
            return tag.removeprefix(LICENSE_TAG)
    return fields.text(fields.mapping(item.get("cardData")).get("license"))


def architecture(item: Mapping[str, Any]) -> str | None:
    named = fields.text(fields.mapping(item.get("gguf")).get("architecture"))
    return named or fields.text(fields.mapping(item.get("config")).get("model_type"))


def parameters(item: Mapping[str, Any]) -> int | None:
    total = fields.positive(fields.mapping(item.get("safetensors")).get("total"))
    return total or fields.positive(fields.mapping(item.get("gguf")).get("total"))


def context(item: Mapping[str, Any]) -> int | None:
    return fields.positive(fields.mapping(item.get("gguf")).get("context_length"))
