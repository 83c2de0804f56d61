"""The routes that answer with JSON: search, model page, tree, paths, whoami. Knows repositories, no bytes."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from tests.hub.double.http import Request, Response
from tests.hub.double.repo import HubFile, HubRepo

PAGE = 1000  # the Hub's own, where no limit is named
TREE_PAGE = 1000
SORTS: dict[str, Callable[[HubRepo], Any]] = {
    "downloads": lambda repo: repo.downloads,
    "likes": lambda repo: repo.likes,
    "lastModified": lambda repo: repo.updated,
    "createdAt": lambda repo: repo.created,
    "trendingScore": lambda repo: repo.trending,
}
ONE_REPO = re.compile(
    r"^/api/models/(?P<id>[^/]+/[^/]+?)(?:/(?P<rest>revision|tree|paths-info|auth-check|xet-read-token)(?:/(?P<tail>.*))?)?$"
)
UNITS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


@dataclass
class Metadata:
    """Answers from `repos` and `tokens`, which belong to the double."""

    repos: dict[str, HubRepo]
    tokens: dict[str, str]
    endpoint: str = ""

    def answer(self, request: Request) -> Response | None:
        """None when the path is none of these routes."""
        if request.path == "/api/models":
            return self._search(request)
        if request.path == "/api/whoami-v2":
            return self._whoami(request)
        if match := ONE_REPO.match(request.path):
            return self._of_repo(request, match["id"], match["rest"] or "", match["tail"] or "")
        return None

    def refusal(self, request: Request, repo_id: str, is_metadata: bool = False) -> Response | None:
        """401, 403 or 404 as the Hub says it. The page of a gated repository is open to all, its files are not."""
        token, repo = request.token, self.repos.get(repo_id)
        if token is not None and token not in self.tokens:
            return error(401, None, "Invalid credentials in Authorization header")
        if repo is None or (repo.private and token not in repo.granted):
            return error(404 if token else 401, "RepoNotFound", "Repository not found")
        if repo.gated and not is_metadata and token not in repo.granted:
            text = f"Access to model {repo_id} is restricted and you are not in the authorized list."
            return error(403 if token else 401, "GatedRepo", text)
        return None

    def _search(self, request: Request) -> Response:
        query = request.query
        found = [repo for repo in self.repos.values() if not repo.private and _is_found(repo, query)]
        if sort := SORTS.get(_one(query, "sort", "trendingScore")):
            found.sort(key=sort, reverse=_one(query, "direction", "-1") == "-1")
        start, limit = int(_one(query, "cursor", "0")), int(_one(query, "limit", str(PAGE)))
        page = found[start : start + limit]
        headers = {}
        if start + limit < len(found):
            headers["Link"] = self._next("/api/models", query, start + limit)
        return reply([summary(repo, query) for repo in page], headers)

    def _whoami(self, request: Request) -> Response:
        name = self.tokens.get(request.token or "")
        if name is None:
            return error(401, None, "Invalid username or password.")
        return reply({"type": "user", "name": name, "fullname": name.title(), "auth": {"type": "access_token"}})

    def _of_repo(self, request: Request, repo_id: str, rest: str, tail: str) -> Response:
        refusal = self.refusal(request, repo_id, is_metadata=rest != "auth-check")
        if refusal is not None:
            return refusal
        repo = self.repos[repo_id]
        if rest == "auth-check":
            return reply({})
        revision = tail.partition("/")[0] if rest != "" else "main"
        if unquote(revision) not in ("main", repo.sha):
            return error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if rest == "tree":
            return self._tree(request, repo, tail.partition("/")[2])
        if rest == "paths-info":
            wanted = parse_qs(request.body.decode()).get("paths", [])
            return reply([tree_entry(file, repo) for file in repo.listing() if file.path in wanted])
        if rest == "xet-read-token":
            return error(404, None, "This double has no Xet store")
        return reply(page(repo, request.query))

    def _tree(self, request: Request, repo: HubRepo, folder: str) -> Response:
        files = [file for file in repo.listing() if file.path.startswith(folder)]
        start = int(_one(request.query, "cursor", "0"))
        limit = int(_one(request.query, "limit", str(TREE_PAGE)))
        headers = {}
        if start + limit < len(files):
            headers["Link"] = self._next(request.path, request.query, start + limit)
        return reply([tree_entry(file, repo) for file in files[start : start + limit]], headers)

    def _next(self, path: str, query: dict[str, list[str]], cursor: int) -> str:
        following = urlencode({**query, "cursor": [str(cursor)]}, doseq=True)
        return f'<{self.endpoint}{path}?{following}>; rel="next"'


def page(repo: HubRepo, query: dict[str, list[str]]) -> dict[str, Any]:
    """What model_info gets. With `blobs` the siblings have sizes and hashes."""
    siblings = [sibling(file, with_blob="blobs" in query) for file in repo.listing()]
    return {**_facts(repo), "sha": repo.sha, "siblings": siblings, "cardData": _card(repo)}


def summary(repo: HubRepo, query: dict[str, list[str]]) -> dict[str, Any]:
    """One hit. Only what `expand` names, or the usual fields."""
    facts = {**_facts(repo), "cardData": _card(repo), "sha": repo.sha if repo.commit or repo.files else "0" * 40}
    if "expand" in query:
        keys = {"id", "modelId", "_id", *query["expand"]}
        if "siblings" in keys:
            facts["siblings"] = [sibling(file, with_blob=False) for file in repo.listing()]
        return {key: value for key, value in facts.items() if key in keys}
    usual = {"id", "modelId", "downloads", "likes", "private", "tags", "pipeline_tag", "createdAt"}
    if "full" in query:
        usual |= {"sha", "lastModified", "gated", "author"}
    return {key: value for key, value in facts.items() if key in usual}


def sibling(file: HubFile, with_blob: bool) -> dict[str, Any]:
    if not with_blob:
        return {"rfilename": file.path}
    entry = {"rfilename": file.path, "size": file.bytes, "blobId": file.oid}
    return {**entry, "lfs": file.lfs()} if file.is_lfs else entry


def tree_entry(file: HubFile, repo: HubRepo) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": file.path, "size": file.bytes, "oid": file.oid}
    if lfs := file.lfs():
        entry["lfs"] = {"oid": lfs["sha256"], "size": lfs["size"], "pointerSize": lfs["pointerSize"]}
        if repo.xet:
            entry["xetHash"] = file.sha256
    return entry


def reply(value: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(
        200, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, json.dumps(value).encode()
    )


def error(status: int, code: str | None, message: str) -> Response:
    headers = {"Content-Type": "application/json; charset=utf-8", "X-Error-Message": message}
    if code:
        headers["X-Error-Code"] = code
    return Response(status, headers, json.dumps({"error": message}).encode())


def _facts(repo: HubRepo) -> dict[str, Any]:
    facts = {
        "_id": repo.id,
        "id": repo.id,
        "modelId": repo.id,
        "author": repo.id.partition("/")[0],
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "downloads": repo.downloads,
        "downloadsAllTime": repo.downloads * 3,
        "likes": repo.likes,
        "trendingScore": repo.trending,
        "tags": repo.all_tags,
        "pipeline_tag": repo.pipeline,
        "library_name": "transformers",
        "lastModified": repo.updated,
        "createdAt": repo.created,
        "gguf": repo.gguf,
        "safetensors": repo.safetensors,
        "config": repo.config,
    }
    return {key: value for key, value in facts.items() if value is not None}


def _card(repo: HubRepo) -> dict[str, Any]:
    return {**({"license": repo.license} if repo.license else {}), **repo.card}


def _is_found(repo: HubRepo, query: dict[str, list[str]]) -> bool:
    text = _one(query, "search", "").casefold()
    author = _one(query, "author", "")
    tags = set(repo.all_tags)
    gated = _one(query, "gated", "")
    return (
        all(word in repo.id.casefold() for word in text.split())
        and (not author or repo.id.startswith(f"{author}/"))
        and all(tag in tags for value in query.get("filter", []) for tag in value.split(","))
        and (not gated or bool(repo.gated) == (gated == "true"))
        and _is_in_size(repo.parameters, _one(query, "num_parameters", ""))
        and _one(query, "pipeline_tag", repo.pipeline or "") == (repo.pipeline or "")
    )


def _is_in_size(parameters: int, wanted: str) -> bool:
    """As the Hub writes it: "min:6B,max:128B"."""
    for bound in filter(None, wanted.split(",")):
        side, _, value = bound.partition(":")
        number = float(value.rstrip("KMBTkmbt")) * UNITS.get(value[-1:].upper(), 1)
        if (side == "min" and parameters < number) or (side == "max" and parameters > number):
            return False
    return True


def _one(query: dict[str, list[str]], name: str, default: str) -> str:
    return query.get(name, [default])[0]
