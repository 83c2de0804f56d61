"""Real texts and code that lie on every machine which can run the tests: nobody here wrote them. Knows no tokenizer.

Prose: Qt's own translations (of PySide6), and the names in glibc's locales where the system has them. Code: Python's
standard library and, where it was brought, llama.cpp's source with its vectors for tokenizers.
"""

import re
import struct
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

LOCALES = Path("/usr/share/i18n/locales")
LANGUAGES = ("hi_IN", "th_TH", "bn_BD", "ta_IN", "te_IN", "am_ET", "my_MM", "km_KH", "el_GR", "hy_AM", "vi_VN", "ne_NP")
CODE = (
    *(".cpp", ".h", ".c", ".cu", ".cl", ".comp", ".metal", ".wgsl", ".py", ".ts", ".js", ".svelte", ".sh", ".cmake"),
    *(".swift", ".kt", ".yml", ".json", ".csv", ".md", ".jinja", ".gbnf", ".nix", ".bat", ".xml"),
)
PER_SOURCE, PER_FILE = 80, 20  # texts
MAX_FILE_BYTES = 1 << 20
MESSAGES, TRANSLATION, END, OF_FOUR_BYTES = 0x69, 3, 1, 5  # of a .qm file (Qt, qtranslator.cpp)


@dataclass(frozen=True, slots=True)
class RealText:
    source: str  # a language or a kind of file
    text: str


def real_texts(llama_cpp: Path | None = None) -> list[RealText]:
    """Lines, and from code also pieces of twelve lines; the same ones on machines of the same packages."""
    found: list[RealText] = []
    for path in sorted(_qt_folder().glob("qtbase_*.qm")):
        language = path.stem.removeprefix("qtbase_")
        found += _some(language, _translations(path.read_bytes()))
    for language in LANGUAGES:
        if (LOCALES / language).is_file():
            lines = map(_unescaped, (LOCALES / language).read_text(encoding="utf-8").splitlines())
            found += _some(language, (line for line in lines if not line.isascii()))
    found += _some(".py of Python", _of_files(sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))))
    if llama_cpp is not None:
        for ending in CODE:
            paths = (path for path in llama_cpp.rglob(f"*{ending}") if path.is_file())
            found += _some(ending, _of_files(sorted(paths)))
        found += _some("vectors", _vectors(llama_cpp / "models"), most=1000)
    return found


def told(texts: list[RealText]) -> str:
    """What was used, in one line."""
    sources = list(dict.fromkeys(text.source for text in texts))
    return f"{len(texts):,} texts of {len(sources)} languages: {', '.join(sources)}"


def _qt_folder() -> Path:
    from PySide6.QtCore import QLibraryInfo

    return Path(QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath))


def _some(source: str, texts: Iterable[str], most: int = PER_SOURCE) -> list[RealText]:
    distinct = dict.fromkeys(text for text in texts if text.strip())
    return [RealText(source, text) for text in islice(distinct, most)]


def _unescaped(line: str) -> str:
    """Older files write their letters as <U0915>."""
    return re.sub(r"<U([0-9A-F]{4,6})>", lambda match: chr(int(match[1], 16)), line)


def _of_files(paths: list[Path]) -> Iterator[str]:
    """From the middle of the largest: their heads are all licences."""
    for path in sorted(paths, key=lambda path: (-path.stat().st_size, path.name)):
        if path.stat().st_size > MAX_FILE_BYTES:
            continue
        lines = path.read_text(encoding="utf-8", errors="ignore").splitlines(keepends=True)
        middle = lines[len(lines) // 2 :]
        yield from middle[: PER_FILE - 1]
        yield "".join(middle[:12])


def _vectors(folder: Path) -> Iterator[str]:
    """llama.cpp's own nasty texts, of all its vocabularies."""
    for path in sorted(folder.glob("*.inp")):
        yield from path.read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")


def _translations(content: bytes) -> Iterator[str]:
    offset = 16  # behind the magic number
    while offset + 5 <= len(content):
        tag, size = struct.unpack_from(">BI", content, offset)
        if tag == MESSAGES:
            yield from _messages(content[offset + 5 : offset + 5 + size])
        offset += 5 + size


def _messages(content: bytes) -> Iterator[str]:
    offset = 0
    while offset < len(content):
        tag = content[offset]
        offset += 1
        if tag == END:
            continue
        if tag == OF_FOUR_BYTES:
            offset += 4
            continue
        (size,) = struct.unpack_from(">I", content, offset)
        if tag == TRANSLATION and size != 0xFFFFFFFF:
            yield content[offset + 4 : offset + 4 + size].decode("utf-16-be")
        offset += 4 + (0 if size == 0xFFFFFFFF else size)
