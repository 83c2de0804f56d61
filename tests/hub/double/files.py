"""The routes that answer with bytes: resolve on the Hub's port, signed addresses on the CDN's."""

import hashlib
import re
import time
from urllib.parse import quote, urlencode

from tests.hub.double.http import Request, Response, ranged
from tests.hub.double.metadata import Metadata, error
from tests.hub.double.repo import HubFile, HubRepo

RESOLVE = re.compile(r"^/(?P<id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)$")
CDN = re.compile(r"^/cdn/(?P<id>[^/]+/[^/]+)/(?P<sha256>[0-9a-f]{64})/(?P<path>.+)$")
SECRET = "the double's own"
EXPIRES_SECONDS = 3600


class Files:
    def __init__(self, metadata: Metadata):
        self._metadata = metadata
        self.cdn = ""  # its address, once it listens

    def resolve(self, request: Request) -> Response | None:
        """None when the path is no file of a repository."""
        match = RESOLVE.match(request.path)
        if match is None:
            return None
        refusal = self._metadata.refusal(request, match["id"])
        if refusal is not None:
            return refusal
        repo = self._metadata.repos[match["id"]]
        if match["revision"] not in ("main", repo.sha):
            return error(404, "RevisionNotFound", f"Invalid rev id: {match['revision']}")
        file = repo.file(match["path"])
        if file is None:
            missing = error(404, "EntryNotFound", "Entry not found")
            missing.headers["X-Repo-Commit"] = repo.sha
            return missing
        return self._redirect(repo, file) if file.is_lfs else _small(request, repo, file)

    def _redirect(self, repo: HubRepo, file: HubFile) -> Response:
        headers = {
            "X-Repo-Commit": repo.sha,
            "X-Linked-Etag": f'"{file.sha256}"',
            "X-Linked-Size": str(file.bytes),
            "ETag": f'"{file.oid}"',
            "Location": self.signed(repo.id, file),
        }
        if repo.xet:
            token = f"{self._metadata.endpoint}/api/models/{repo.id}/xet-read-token/{repo.sha}"
            headers |= {"X-Xet-Hash": file.sha256, "Link": f'<{token}>; rel="xet-auth"'}
        return Response(302, headers, f"Found. Redirecting to {headers['Location']}".encode())

    def signed(self, repo_id: str, file: HubFile) -> str:
        path = f"/cdn/{repo_id}/{file.sha256}/{file.path}"
        expires = str(int(time.time()) + EXPIRES_SECONDS)
        return f"{self.cdn}{quote(path)}?{urlencode({'Expires': expires, 'Signature': _signature(path, expires)})}"

    def serve(self, request: Request) -> Response:
        """The CDN. Like S3 it takes either a signature or a token, never both."""
        match = CDN.match(request.path)
        expires = request.query.get("Expires", ["0"])[0]
        if "authorization" in request.headers:
            return Response(400, {}, b"<Code>InvalidArgument</Code> Only one auth mechanism allowed")
        if request.query.get("Signature") != [_signature(request.path, expires)] or int(expires) < time.time():
            return Response(403, {}, b"<Code>AccessDenied</Code> Request has expired")
        repo = self._metadata.repos.get(match["id"]) if match else None
        file = repo.file(match["path"]) if repo and match else None
        if file is None or match is None or file.sha256 != match["sha256"]:
            return Response(404, {}, b"<Code>NoSuchKey</Code>")
        etag = f"{file.sha256[:32]}-1"  # of the object store: not the Hub's
        return ranged(request, Response(200, {"Content-Type": "binary/octet-stream"}, file.content, etag))


def _small(request: Request, repo: HubRepo, file: HubFile) -> Response:
    headers = {"X-Repo-Commit": repo.sha, "Content-Type": "text/plain; charset=utf-8"}
    return ranged(request, Response(200, headers, file.content, file.etag))


def _signature(path: str, expires: str) -> str:
    return hashlib.sha256(f"{SECRET} {path} {expires}".encode()).hexdigest()
