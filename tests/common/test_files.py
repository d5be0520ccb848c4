"""Files are read whole, or refused in one line."""

import hashlib
import os

import pytest

from common.errors import ArtefactError
from common.files import read_bytes, read_json, read_text, sha256, write_json


def test_what_is_written_is_read(tmp_path):
    tree = {"name": "ä", "rows": [1, 2.5, None]}
    path = write_json(tmp_path / "a" / "b.json", tree)
    assert read_json(path) == tree
    assert sha256(path) == hashlib.sha256(read_bytes(path)).hexdigest()


def test_text_is_utf_8_whatever_the_terminal_is(tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    path = tmp_path / "text"
    path.write_bytes("φ ½".encode())
    assert read_text(path) == "φ ½"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xef\xbb\xbf{}", "begins with a byte order mark; save it as UTF-8 without one"),
        ("{}".encode("utf-16"), "not UTF-8 text, at byte 0"),
        (b'{"a": "\xe4"}', "not UTF-8 text, at byte 7"),
        (b"\x00" * 8, "not JSON: "),
    ],
)
def test_another_encoding_is_named(tmp_path, content, message):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(ArtefactError) as error:
        read_json(path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_a_file_without_end_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.truncate(2**40)  # of which the disk holds nothing
    with pytest.raises(ArtefactError, match=r"long: longer than the 64 MiB that are allowed"):
        read_json(path)
    path.write_bytes(b"abc")
    assert read_bytes(path, 3) == b"abc"
    with pytest.raises(ArtefactError, match="longer than"):
        read_bytes(path, 2)


@pytest.mark.parametrize("read", [read_json, read_bytes, sha256])
def test_what_is_no_file_is_named_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for name, message in (
        ("pipe", "is a pipe, needs a file"),
        ("zero", "is a device, needs a file"),
        (".", "is a folder, needs a file"),
        ("loop", "Too many levels of symbolic links"),
        ("none", "No such file or directory"),
        ("n" * 300, "File name too long"),
        ("a\0b", "embedded null byte"),
    ):
        with pytest.raises(ArtefactError) as error:
            read(tmp_path / name)
        assert message in str(error.value) and len(str(error.value).splitlines()) == 1
