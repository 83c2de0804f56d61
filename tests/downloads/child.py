"""A download in a process of its own, to be killed: `python -m tests.downloads.child URL BYTES SHA256 TARGET`.

Prints after each look how many bytes are done.
"""

import sys
import threading
from pathlib import Path

from app.downloads import Source, download

if __name__ == "__main__":
    url, size, sha256, target = sys.argv[1:]
    download(
        [(Source(url, {}, int(size), sha256), Path(target))],
        lambda transfer: print(transfer.bytes_done, flush=True),
        threading.Event(),
    )
