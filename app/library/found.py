"""A model as it was found on the disk, before its header is read. Knows no index and no person's remarks."""

from dataclasses import dataclass

from app.library.gguf import missing_parts
from app.library.origin import Origin
from app.library.scan import Folder, Group
from backends.bounds import clamped


@dataclass(frozen=True, slots=True)
class Found:
    """id: as its origin would call it; two origins may propose the same. bytes: of path and parts together.

    path, bytes, mtime_ns and inode say whether a header that was read earlier is still its header.
    """

    origin: Origin
    id: str
    path: str  # the file, the first of several, or the folder of a checkpoint
    bytes: int
    mtime_ns: int
    inode: int
    name: str | None = None  # else the header's own
    parts: tuple[str, ...] = ()
    mmproj: str | None = None  # that its application names
    projectors: tuple["Found", ...] = ()  # image parts that lie beside it: one may be its own
    sha256: str | None = None
    source: str | None = None
    problem: str | None = None
    details: tuple[tuple[str, str], ...] = ()
    is_checkpoint: bool = False
    is_projector: bool = False
    is_hint: bool = False  # the problem is no reason not to try it
    is_readable: bool = True  # else nobody should open it: a device, a circle of links

    @property
    def identity(self) -> tuple[int, int, int]:
        return (self.bytes, self.mtime_ns, self.inode)


def from_group(
    group: Group,
    origin: Origin,
    id_: str,
    *,
    sha256: str | None = None,
    source: str | None = None,
    problem: str | None = None,
    name: str | None = None,
    is_hint: bool = False,
) -> Found:
    """is_hint: the problem given here, not one of the files."""
    fault = group.fault or (missing_parts(group.missing) if group.missing else "")
    return Found(
        origin,
        id_,
        group.first.path,
        group.bytes,
        group.mtime_ns,
        group.first.inode,
        name=name,
        parts=tuple(part.path for part in group.parts),
        mmproj=group.mmproj.path if group.mmproj else None,
        sha256=sha256,
        source=source,
        projectors=tuple(
            Found(origin, file.name, file.path, file.bytes, file.mtime_ns, file.inode, is_projector=True)
            for file in group.projectors
        ),
        problem=fault or problem,
        is_hint=is_hint and not fault,
        is_projector=group.is_projector,
        is_readable=not group.fault,
    )


def checkpoint(folder: Folder, origin: Origin, id_: str, name: str, source: str | None = None) -> Found | None:
    """A folder that holds a checkpoint as the Hub knows it: config.json and safetensors."""
    config = next((file for file in folder.files if file.name == "config.json"), None)
    weights = [file for file in folder.files if file.name.endswith(".safetensors")]
    if config is None or not weights:
        return None
    return Found(
        origin,
        id_,
        folder.path,
        clamped(sum(file.bytes for file in weights)),
        max(file.mtime_ns for file in (config, *weights)),
        config.inode,
        name=name,
        parts=tuple(file.path for file in weights),
        source=source,
        problem=next((file.fault for file in weights if file.fault), None),
        is_checkpoint=True,
    )
