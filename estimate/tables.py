"""The tables that the command prints and the page shows: their columns, once for both.

A column has a name in plain text and one on the page, and is left out of where it has none. The
two also write numbers differently: 65 ns, 25% and - here, 65 ns with a space that does not break,
25 % and – there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from common.tables import table
from estimate.published import gpu_title
from estimate.report.table import View
from estimate.report.wording import EMPTY, Mark, count, percent, quantity, ratio, shown, tidy

__all__ = [
    "COMMAND",
    "CONSISTENCY",
    "DIGITAL",
    "GPUS",
    "HEADS",
    "PEERS",
    "PUBLISHED",
    "SYSTEM",
    "Cell",
    "Column",
    "Columns",
    "plain",
    "view",
]

Row = Mapping[str, Any]
COMMAND = "make estimate"
NONE = "-"  # in plain text


class Cell(NamedTuple):
    """What stands in plain text, and what on the page."""

    text: object
    page: str


class Column(NamedTuple):
    """Its name in plain text and on the page (None: it is not there), and its cell of a row."""

    text: str | None
    page: str | None
    cell: Callable[[Row], Cell]


Columns = Sequence[Column]


def plain(columns: Columns, rows: Iterable[Row]) -> str:
    """The table in plain text."""
    used = [column for column in columns if column.text is not None]
    cells = [[column.cell(row).text for column in used] for row in rows]
    return table([str(column.text) for column in used], cells)


def view(name: str, caption: str, columns: Columns, rows: Iterable[Row], command: str) -> View:
    """The table for the page."""
    used = [column for column in columns if column.page is not None]
    cells = [[column.cell(row).page for column in used] for row in rows]
    return View(name, caption, [str(column.page) for column in used], cells, command)


def _same(text: str) -> Cell:
    return Cell(text, text)


def _amount(value: float | None, unit: str) -> Cell:
    return Cell(NONE if value is None else quantity(value, unit), shown(value, unit))


def _share(value: float | None, digits: int = 0) -> Cell:
    return Cell(NONE if value is None else f"{value:.{digits}%}", percent(value))


def _is(text: str | None, page: str | None, key: str, unit: str = "") -> Column:
    """A column of what a row has under a key: words, or a number in a unit."""
    if unit:
        return Column(text, page, lambda row: _amount(row.get(key), unit))
    return Column(text, page, lambda row: _same(row[key]))


def _within(row: Row) -> Cell:
    return Cell("yes", "yes") if row["within"] else Cell("NO", "no")


def _kind(row: Row) -> Cell:
    kind = "calibrated" if row["calibrated"] else "predicted"
    return Cell(kind, Mark(kind))


HEADS: Columns = [
    _is("schedule", "schedule", "name"),
    Column(None, "cycles are", lambda row: _same(Mark(row["cycles_are"]))),
    Column("cycles", "cycles a token", lambda row: _same(str(row["cycles"]["latency"]))),
    Column("between", "cycles between tokens", lambda row: _same(str(row["cycles"]["between"]))),
    _is("latency", "latency", "latency_s", "s"),
    Column(None, "tokens", lambda row: _same(f"{1e-6 / row['period_s']:,.1f} million/s")),
    Column(
        "energy",
        "energy, our gates",
        lambda row: _amount(row["energy_j"]["synthesis"]["value"], "J"),
    ),
    Column(
        "with published 4 nJ",
        "energy, published 4 nJ",
        lambda row: _amount(row["energy_j"]["published"]["value"], "J"),
    ),
    Column("area", "area", lambda row: _amount(row["area_m2"]["value"], "m2")),
    _is("leakage", "leakage", "leakage_w", "W"),
]

PUBLISHED: Columns = [
    _is("published figure", "figure", "name"),
    Column("ours", "ours", lambda row: _amount(row["ours"], row["unit"])),
    Column("published", "published", lambda row: _amount(row["published"], row["unit"])),
    Column("ratio", "ratio", lambda row: _same(ratio(row["ratio"]))),
    Column(
        "tolerance",
        "tolerance",
        lambda row: _share(row["tolerance"], digits=int(row["tolerance"] < 0.01)),
    ),
    Column("kind", "ours is", _kind),
    Column("within", "within", _within),
    _is(None, "how", "how"),
]

CONSISTENCY: Columns = [
    _is("published figures among themselves", "figure", "name"),
    Column("stated", "stated", lambda row: _amount(row["stated"], row["unit"])),
    Column("computed", "computed", lambda row: _amount(row["computed"], row["unit"])),
    Column("ratio", "ratio", lambda row: _same(ratio(row["ratio"]))),
    Column("", "arithmetic", lambda row: Cell(row["arithmetic"], tidy(row["arithmetic"]))),
    _is(None, "remark", "remark"),
]

DIGITAL: Columns = [
    _is("digital part, scaled from", "scaled from", "name"),
    _is("cells", "gates", "cells_j", "J"),
    _is("with wires and buffer", "with wires and buffer", "energy_j", "J"),
    _is("published", "published", "published_j", "J"),
]


def _power(row: Row) -> Cell:
    if "measured_w" not in row:
        return Cell(NONE, EMPTY)
    return _same(f"{row['measured_w']:.3g} of {row['board_w']:g} W")


GPUS: Columns = [
    Column("attention of 12 heads", "GPU", lambda row: Cell(row["gpu"], gpu_title(row["gpu"]))),
    _is("roofline", "roofline", "roofline_s", "s"),
    _is("bound by", "bound by", "bound_by"),
    _is("published", "published time", "measured_s", "s"),
    Column("of roofline", "of the roofline", lambda row: _share(row.get("share_of_roofline"))),
    _is(None, "published energy", "measured_j", "J"),
    Column("power", "power", _power),
    Column(
        "speed-up over roofline",
        "gain cells faster than the roofline, times",
        lambda row: _same(f"{row['speed_up_over_roofline']:,.0f}"),
    ),
]


def _scaled(text: str, page: str, key: str, scale: float, unit: str = "") -> Column:
    """A number of a peer, which it may lack; unit: of the page, which chooses a prefix itself."""

    def cell(row: Row) -> Cell:
        if key not in row:
            return Cell(NONE, EMPTY)
        number = f"{row[key] / scale:,.3g}"
        return Cell(number, shown(row[key], unit) if unit else number)

    return Column(text, page, cell)


def _source(row: Row) -> Cell:
    return _same("this report" if row["source"] == "estimate" else row["source"])


PEERS: Columns = [
    _is("system", "system", "name"),
    _is(None, "what it does", "what"),
    Column(
        "nm",
        "node, nm",
        lambda row: Cell(
            row["node_nm"] or NONE, EMPTY if row["node_nm"] is None else str(row["node_nm"])
        ),
    ),
    _is("evidence", "evidence", "evidence"),
    _scaled("TOPS/W", "10¹² op/s/W", "op_per_s_w", 1e12),
    _scaled("TOPS/mm2", "10¹² op/s/mm²", "op_per_s_m2", 1e18),
    _scaled("nJ/query", "energy of a query", "query_j", 1e-9, "J"),
    _scaled("ns/query", "time of a query", "query_s", 1e-9, "s"),
    Column(None, "remark", lambda row: _same(tidy(row.get("note", "")))),
    Column(None, "source", _source),
]

SYSTEM: Columns = [
    _is("step", "time of a step", "step_s", "s"),
    Column(
        "attention",
        "of it attention",
        lambda row: _share(row["decode_s"]["attention"] / row["step_s"], 2),
    ),
    _is("token", "energy of a token", "token_j", "J"),
    Column(
        "attention",
        "attention's share",
        lambda row: _share(row["decode_j"]["attention"] / row["token_j"], 2),
    ),
    _is("prefill", "prefill", "prefill_s", "s"),
    Column("chips", "chips", lambda row: Cell(row["chips"], count(row["chips"]))),
    _is("retention", "retention needed", "tau_needed_s", "s"),
    _is("H100 step", "H100 roofline, step", "gpu_step_s", "s"),
    _is("H100 token", "its token", "gpu_token_j", "J"),
]
"""What a whole model takes."""
