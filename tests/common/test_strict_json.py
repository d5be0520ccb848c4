"""JSON that other readers let pass."""

import json

import pytest

from common.errors import ArtefactError
from common.strict_json import MAX_DEPTH, parse_json


@pytest.mark.parametrize(
    "text",
    ["0", '"ä\\u00e9\\n"', "[]", '{"a": {"a": [1, -2.5e-3, true, null]}}', "18446744073709551615"],
)
def test_what_is_json_is_read_as_it_stands(text):
    assert parse_json(text, "x") == json.loads(text)
    assert repr(parse_json(text, "x")) == repr(json.loads(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"levels": {"q": 1, "kv": 2, "q": 1}}', "levels.q: this key stands twice"),
        ('{"rows": [{}, {"name": 1, "name": 2}]}', "rows[1].name: this key stands twice"),
        ('{"a": {"b": 1, "b": 1}, "a": 2}', "a: this key stands twice"),
        ('{"a\\nb": 1, "a\\nb": 1}', "'a\\nb': this key stands twice"),
        ('{"cell": {"v": NaN}}', "cell.v = NaN: needs a finite number"),
        ("[1, -Infinity]", "[1] = -Infinity: needs a finite number"),
        ("[1e999]", "[0] = 1e999: needs a finite number"),
        ('{"n": ' + "9" * 5000 + "}", "n = 99999999999999999999…: needs a finite number"),
        ("9" * 21, "content = 99999999999999999999…: needs a finite number"),
        ('{"s": "\\ud800"}', "s = '\\ud800': not Unicode text"),
        ('{"\\udfff": 1}', "key: '\\udfff' is not Unicode text"),
        ("[" * 100 + "]" * 100, f"nested deeper than {MAX_DEPTH} levels"),
        ("[" * 100_000, f"nested deeper than {MAX_DEPTH} levels"),
        ('{"a":' * 100_000, f"nested deeper than {MAX_DEPTH} levels"),
        ("", "not JSON: Expecting value: line 1 column 1"),
        ('{"a": 1,}', "not JSON: "),
        ("{'a': 1}", "not JSON: "),
        ("[01]", "not JSON: "),
        ("[1] x", "not JSON: Extra data"),
    ],
)
def test_what_is_not_is_refused_with_its_place(text, message):
    with pytest.raises(ArtefactError) as error:
        parse_json(text, "some.json")
    line = str(error.value)
    assert line.startswith(f"some.json: {message}") and len(line) < 150
    assert len(line.splitlines()) == 1 and line.isprintable()


def test_the_deepest_nesting_is_read():
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert json.dumps(parse_json(text, "x")) == text
