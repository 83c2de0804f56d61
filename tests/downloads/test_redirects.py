"""A token stays with the origin that it is for, and nobody is led out of TLS."""

import pytest

from app.downloads.exchange import next_address, origin
from app.errors import DownloadError
from tests.downloads.conftest import CONTENT, NAME, REPO, Place
from tests.hub.double import HubDouble, HubRepo


def test_the_token_goes_to_its_own_origin_alone(place: Place) -> None:
    """The CDN differs by its port only."""
    place.double.tokens["hf_good"] = "alice"
    place.double.add(HubRepo(REPO, {NAME: CONTENT, "config.json": b"{}"}, gated="auto", granted={"hf_good"}))
    place.fetch(place.source(token="hf_good"), place.source("config.json", token="hf_good"))
    assert place.names == ["config.json", NAME]
    tokens = {(seen.server, seen.headers.get("authorization")) for seen in place.double.requests}
    assert tokens == {("hub", "Bearer hf_good"), ("cdn", None)}


def test_another_origin_that_only_redirects_gets_no_token_either(place: Place) -> None:
    with HubDouble() as other:
        other.fail(redirect_to=place.double.address(REPO, "config.json"))
        place.double.fail(on="*/config.json", redirect_to=f"{other.endpoint}/config.json", times=1)
        place.double.tokens["hf_good"] = "alice"
        place.fetch(place.source("config.json", token="hf_good"))
        assert [seen.headers.get("authorization") for seen in other.requests] == [None]
    assert [seen.headers.get("authorization") for seen in place.double.requests] == ["Bearer hf_good"] * 2


def test_a_gated_file_without_access_is_told(place: Place) -> None:
    place.double.tokens["hf_other"] = "bob"
    place.double.add(HubRepo(REPO, {NAME: CONTENT}, gated="manual"))
    for token, status in ((None, 401), ("hf_other", 403)):
        with pytest.raises(DownloadError, match=rf"belongs to a gated repository \(HTTP {status}"):
            place.fetch(place.source(token=token))


def test_a_relative_redirect_is_followed(place: Place) -> None:
    place.double.fail(on="*/config.json", redirect_to="other%20name.json", times=1)
    place.double.add(HubRepo(REPO, {"config.json": b"{}", "other name.json": b"{}"}))
    place.fetch(place.source("config.json"))
    assert place.double.requests[-1].path.endswith("/other name.json")


@pytest.mark.parametrize("location", ["http://cdn.example/file", "HTTP://hub.example/file"])
def test_a_way_out_of_tls_is_refused(location: str) -> None:
    with pytest.raises(DownloadError, match="without encryption, which is refused"):
        next_address("https://hub.example/file", location)


@pytest.mark.parametrize("location", [None, "", "file:///etc/passwd", "ftp://host/x", "data:,x", "javascript:1"])
def test_what_is_no_address_is_refused(location: str | None) -> None:
    with pytest.raises(DownloadError, match="sends to an address that is none"):
        next_address("https://hub.example/file", location)


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin("https://Hub.example/a") == origin("https://hub.example:443/b")
    others = ["http://hub.example/a", "https://hub.example:444/a", "https://cdn.hub.example/a"]
    assert all(origin(other) != origin("https://hub.example/a") for other in others)
