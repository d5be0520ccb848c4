"""Every reader, fed with files that are wrong in some way."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.fuzz import checkpoints, jobs, models, results, specifications, tables, vectors
from tests.fuzz.reading import NOT_FILES, Reader, check_message, examine, refusal

READERS: list[Reader] = [
    *specifications.READERS,
    *vectors.READERS,
    *jobs.READERS,
    *tables.READERS,
    *results.READERS,
    *checkpoints.READERS,
    *models.READERS,
]
each_reader = pytest.mark.parametrize("reader", READERS, ids=str)


@each_reader
def test_what_is_right_is_read(reader: Reader, tmp_path: Path):
    tally = Counter()
    examine(reader, reader.files, tmp_path, tally)
    assert tally["accepted"] == 1


@each_reader
def test_what_is_wrong_is_refused_in_one_line_or_read(
    reader: Reader, tmp_path: Path, budget: settings, tally: Counter
):
    @budget
    @given(files=reader.damaged)
    def try_one(files: dict[str, bytes]) -> None:
        examine(reader, files, tmp_path, tally)

    try:
        try_one()
    except BaseException:
        tally["failures"] += 1
        raise


@each_reader
@pytest.mark.parametrize("kind", NOT_FILES)
def test_what_is_not_a_file_is_refused(reader: Reader, kind: str, tmp_path: Path):
    for name in reader.files:
        folder = tmp_path / name
        folder.mkdir()
        for other, content in reader.files.items():
            if other != name:
                (folder / other).write_bytes(content)
        NOT_FILES[kind](folder / name)
        message = refusal(reader, folder)
        if kind == "missing" and reader.optional:
            continue
        assert message, f"{reader} takes {kind}"
        check_message(message, folder)
