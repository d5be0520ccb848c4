"""Types of arguments."""

import argparse
import os

import pytest

from common.arguments import utf_8


def test_text_is_utf_8_whatever_the_locale_made_of_it():
    given = os.fsdecode("é ⏎".encode())
    assert utf_8(given) == "é ⏎"
    with pytest.raises(argparse.ArgumentTypeError, match="needs text in UTF-8"):
        utf_8(os.fsdecode(b"\xe9"))
