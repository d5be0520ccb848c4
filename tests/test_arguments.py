"""Numbers on the command line of every command: bounded, finite, or refused by argparse."""

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from common.arguments import integer, natural, number, utf_8

ROOT = Path(__file__).parents[1]
PACKAGES = ("common", "analog_models", "codesign", "cosim", "estimate", "hdl", "ml")
WRONG = [
    *("", " ", "x", "nan", "-nan", "inf", "-inf", "infinity", "1e999", "-1e999", "0x10", "1_000"),
    *("--", "٣", "1,5", "1.5.2", "9" * 5000, "-" + "9" * 5000, "9" * 30, "1e400", "\x00", "None"),
]
"""What no number option may take; sizes that no machine has are among it."""


class _Caught(Exception):
    """Carries the parser of a command that was about to read its arguments."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def commands() -> Iterator[str]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "parse_args(" in path.read_text() and "main(" in path.read_text():
                yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


def parser_of(name: str) -> argparse.ArgumentParser:
    def caught(self: argparse.ArgumentParser, *_: object) -> None:
        raise _Caught(self)

    main = importlib.import_module(name).main
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", caught),
        mock.patch.object(sys, "argv", [name]),
        pytest.raises(_Caught) as found,
    ):
        main()
    return found.value.parser


def options_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from options_of(inner)
        else:
            yield action


NAMES = [*commands()]


def test_all_commands_are_found():
    assert {"cosim.sim", "estimate.sweep.command", "ml.adapt.command", "hdl.formal.__main__"} <= {
        *NAMES
    }
    assert len(NAMES) > 30


@pytest.mark.parametrize("name", NAMES)
def test_no_option_takes_a_number_that_is_none(name):
    for action in options_of(parser_of(name)):
        kind = action.type
        assert kind not in (int, float), f"{action.option_strings} takes any {kind}"
        if not callable(kind) or kind in (str, Path, utf_8):
            continue
        for text in WRONG:
            try:
                kind(text)
            except (argparse.ArgumentTypeError, ValueError) as error:
                assert len(str(error)) < 300 and len(str(error).splitlines()) <= 1
            else:
                pytest.fail(f"{action.option_strings} takes {text[:20]!r}")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (natural(0), "0", 0),
        (natural(1, 8), "008", 8),
        (integer, "-7", -7),
        (number(), "-1.5e-3", -0.0015),
        (number(0), "0", 0.0),
        (utf_8, "φ", "φ"),
    ],
)
def test_a_right_value_is_taken(kind, text, value):
    assert kind(text) == value and type(kind(text)) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (natural(2), "1", "'1': needs a whole number from 2 up"),
        (natural(2), "2.0", "'2.0': needs a whole number from 2 up"),
        (natural(2), "9" * 12, "'999999999999': needs a whole number from 2 to 1,000,000,000"),
        (integer, "9" * 12, "'999999999999': needs a whole number from -1,000,000,000 to"),
        (number(0, 1), "2", "'2': needs a number from 0 to 1"),
        (number(0), "-1", "'-1': needs a number from 0 up"),
        (number(), "nan", "'nan': needs a finite number"),
        (utf_8, "a\udcff", "'a\\udcff': needs text in UTF-8"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(kind, text, message):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        kind(text)
    assert str(error.value).startswith(message)
