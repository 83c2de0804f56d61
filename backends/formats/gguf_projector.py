"""Image and sound parts of models (mmproj): their kind, and the width of the text model that they were made for.

Keys and tensor names are those of llama.cpp's tools/mtmd/clip-impl.h; `clip_n_mmproj_embd` is what the model must have.
"""

import re

from backends.bounds import as_name, whole
from backends.formats.gguf import MAX_FIGURE, Header

LAST_LAYER = re.compile(r"^mm\.(\d{1,3})\.(weight|bias)$")
MAX_KIND = 64
KINDS = ("clip.projector_type", "clip.vision.projector_type", "clip.audio.projector_type")
WIDTHS = ("clip.vision.projection_dim", "clip.audio.projection_dim")


def projection(header: Header) -> tuple[str, int | None]:
    """Kind, empty where it is not said, and width, None likewise.

    Early LLaVA files give the image encoder's own width as projection_dim, so the last layer of the projector counts.
    """
    if header.metadata.get("general.type") != "mmproj" and header.architecture != "clip":
        return "", None
    kinds = [header.metadata.get(key) for key in KINDS]
    kind = next((as_name(value, MAX_KIND) for value in kinds if isinstance(value, str)), "")
    found = ((LAST_LAYER.match(tensor.name), tensor.shape[-1]) for tensor in header.tensors)
    layers = [(int(match[1]), width) for match, width in found if match]
    if layers:
        return kind, max(layers)[1]
    widths = (whole(header.metadata.get(key), MAX_FIGURE) for key in WIDTHS)
    return kind, next((width for width in widths if width), None)
