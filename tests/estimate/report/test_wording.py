"""Numbers and words of the page."""

import pytest

from estimate.report.wording import percent, shown, tidy


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (65e-9, "s", "65 ns"),
        (2.2e-5, "s", "22 µs"),
        (2.098e-4, "W", "209.8 µW"),
        (0.5e-6, "m2", "0.5 mm²"),
        (20.75e-12, "m2", "20.75 µm²"),
        (None, "J", "–"),
        (7522.4, "", "7,522"),
    ],
)
def test_quantities(value, unit, text):
    assert shown(value, unit).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "100 %"), (0.42, "42 %"), (0.031, "3.1 %"), (0.00043, "0.043 %"), (0, "0.0000 %")],
)
def test_shares(value, text):
    assert percent(value).replace("\u00a0", " ") == text


def test_formulas():
    assert tidy("0.2 fF/um, 4 x 22.37 us, 36.7e-3 mm2 / 12") == (
        "0.2 fF/µm, 4 × 22.37 µs, 36.7e-3 mm² / 12"
    )
    assert tidy("much use, m20, 8 um2") == "much use, m20, 8 µm²"
