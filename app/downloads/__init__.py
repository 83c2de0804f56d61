"""Files over HTTP: resumable, hashed, one or several at once. Knows no Hub, no library and no queue.

download([(Source(url, headers, bytes, sha256, None), safe_path(folder, "a/model.gguf"))], on_progress, stop)
"""

from app.downloads.download import download
from app.downloads.fetch import kept_bytes
from app.downloads.names import safe_path
from app.downloads.patience import Patience
from app.downloads.source import Source
from app.downloads.transfer import Transfer

__all__ = ["Patience", "Source", "Transfer", "download", "kept_bytes", "safe_path"]
