"""Arrays packed at once are the bytes that gguf's own writer packs item by item."""

from typing import Any

import gguf
import pytest

from backends.convert.gguf_writer import VocabularyWriter, packed_array

ARRAYS: dict[str, list[Any]] = {
    "texts": ["", "a", "\u0120the", "\U0001f642", "\n", "x" * 300, "\0"],
    "numbers": [0, -1, 2**31 - 1],
    "scores": [0.0, -1000.0, 0.1],
    "truths": [True, False],
}


@pytest.mark.parametrize("case", ARRAYS)
def test_an_array_is_packed_as_the_library_packs_it(case: str, tmp_path: Any) -> None:
    values = ARRAYS[case]
    files = []
    for writer_class in (gguf.GGUFWriter, VocabularyWriter):
        writer = writer_class(tmp_path / writer_class.__name__, "llama")
        writer.add_array("an.array", values)
        writer.add_string("a.text", "b")
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        files.append((tmp_path / writer_class.__name__).read_bytes())
    assert files[0] == files[1]
    assert (packed_array(values) is None) is (case == "truths")


def test_what_does_not_fit_is_not_cut() -> None:
    with pytest.raises(OverflowError):
        packed_array([1 << 31])
    assert packed_array([1, "a"]) is None
    assert packed_array([]) is None
