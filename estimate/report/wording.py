"""Numbers and words, as plain text and as the page shows them."""

import re

__all__ = [
    "EMPTY",
    "Mark",
    "count",
    "cut",
    "percent",
    "quantity",
    "ratio",
    "short_hash",
    "shown",
    "tidy",
]

EMPTY = "–"
PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))
NBSP = "\u00a0"
LEAST_MM2 = 1e-9  # m2: less is shown in µm²


def quantity(value: float, unit: str) -> str:
    """A number with a prefix: 65 ns, 0.5 mm2. Plain numbers have four digits."""
    if not unit:
        return f"{value:,.4g}" if value < 1e4 else f"{value:,.0f}"
    if unit == "m2":
        return f"{value * 1e6:,.4g} mm2"
    if value >= 1e3:
        return f"{value:,.4g} {unit}"
    scale, prefix = next((p for p in PREFIXES if abs(value) >= p[0] * 0.9995), PREFIXES[-1])
    return f"{value / scale:.4g} {prefix}{unit}"


class Mark(str):
    """A word of where a number comes from, shown as a badge: measured, predicted, ..."""

    __slots__ = ()


def shown(value: float | None, unit: str) -> str:
    """A number with a prefix and its unit: 65 ns, 0.5 mm², 93 µW. A dash for None."""
    if value is None:
        return EMPTY
    if unit == "m2" and value < LEAST_MM2:
        return f"{value * 1e12:,.4g}{NBSP}µm²"
    text = quantity(value, unit).replace("mm2", "mm²")
    return re.sub(r" u(?=[A-Z]|s\b)", " µ", text).replace(" ", NBSP)


def ratio(value: float) -> str:
    """A ratio near 1, or a factor."""
    return f"{value:.3f}"


def percent(value: float | None) -> str:
    """A share: two digits, and more where it is small."""
    if value is None:
        return EMPTY
    digits = next((d for d in range(5) if abs(value) * 100 >= 0.95 * 10 ** (1 - d)), 4)
    return f"{value:.{digits}%}".replace("%", f"{NBSP}%")


def tidy(text: str) -> str:
    """A formula of the estimate with the signs that a page can show: mm², µs, ×."""
    text = re.sub(r"(?<=m)2\b", "²", text)
    text = re.sub(r"\bu(?=(s|m²?)\b)", "µ", text)
    return text.replace(" x ", " × ")


def count(value: float) -> str:
    """A whole number with commas."""
    return f"{value:,.0f}"


def cut(text: str, length: int) -> str:
    """At most so many characters, for labels."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def short_hash(commit: str) -> str:
    """The first digits of a commit."""
    return commit[:12]
