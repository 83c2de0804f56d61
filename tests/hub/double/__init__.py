"""A stand-in for the Hugging Face Hub: real HTTP on two ports, faults on order. Knows nothing of the application.

    with HubDouble([HubRepo("org/model", {"model.gguf": b"..."})]) as double:
        double.endpoint                                 # http://127.0.0.1:PORT, for HF_ENDPOINT or HubClient
        double.address("org/model", "model.gguf")       # what resolve/main answers to
        double.add(HubRepo("org/other", {"config.json": b"{}", "model.safetensors": Path("/some/file")}))
        double.tokens["hf_good"] = "alice"              # a token that whoami knows; HubRepo.granted lets it in
        double.fail(on="/cdn/*", cut_after=1000)        # see Fault: every knob is a keyword
        double.requests                                 # what was asked, in order: each a Seen
        double.reset()                                  # no repositories, faults, tokens or requests any more

Large files (LFS: by suffix or size) are redirected with a signed address to the second port, the CDN, which refuses a
token. Files may be bytes or a Path; a Path goes out by sendfile. A folder by hand: `python -m tests.hub.double FOLDER`
serves FOLDER/<publisher>/<repo>/**. In tests: the fixture `hub_double` of tests/hub/conftest.py (one server per
session, emptied for each test); other folders import it from there. With `certificate=make_certificate(folder)` it
speaks HTTPS; SSL_CERT_FILE makes that file trusted.
"""

from tests.hub.double.certificate import make_certificate
from tests.hub.double.faults import Fault
from tests.hub.double.http import Seen
from tests.hub.double.repo import HubRepo, many_repos
from tests.hub.double.server import HubDouble

__all__ = ["Fault", "HubDouble", "HubRepo", "Seen", "make_certificate", "many_repos"]
