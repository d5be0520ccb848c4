"""Everything of the page put together and rendered: one file, nothing loaded from elsewhere."""

from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from common.provenance import provenance
from estimate.overview import Estimate
from estimate.report.draw_comparison import comparison_drawings
from estimate.report.draw_head import head_drawings
from estimate.report.draw_models import model_drawings, perplexity_drawing, sensitivity_drawings
from estimate.report.origins import origin_tables, seeds
from estimate.report.sources import Source
from estimate.report.summary import KINDS, cards, mismatches, verdict
from estimate.report.svg import Drawing, style
from estimate.report.table import View
from estimate.report.tables_beside import (
    comparison_tables,
    perplexity_rows,
    perplexity_table,
    system_tables,
)
from estimate.report.tables_head import check_tables, cost_tables, specification_tables
from estimate.report.wording import Mark, count, percent, short_hash, shown

__all__ = ["PACKAGES", "SECTIONS", "Report"]

PACKAGES = ("jinja2", "matplotlib", "numpy", "pydantic")
SECTIONS = {
    "summary": "Summary",
    "specification": "Specification",
    "check": "Golden check",
    "cycles": "Cycles",
    "energy": "Energy",
    "area": "Area",
    "published": "Published figures",
    "gpus": "GPUs",
    "systems": "Whole models",
    "peers": "Peers",
    "sensitivity": "Sensitivity",
    "perplexity": "Perplexity",
    "provenance": "Provenance",
}


class Report:
    """One specification's page, from its estimate and what others measured.

    tree: of `Estimate.to_tree`. figures, tables: by name. result: for `result.json`.
    """

    def __init__(self, estimate: Estimate, sources: Mapping[str, Source]) -> None:
        self.estimate, self.sources = estimate, sources
        self.spec, self.tree = estimate.spec, estimate.to_tree()
        self.provenance = provenance(PACKAGES)
        self.perplexities = perplexity_rows(sources)
        self.figures: dict[str, Drawing] = _by_name(self._drawings())
        self.tables: dict[str, View] = _by_name(self._tables())

    @property
    def of_paper(self) -> bool:
        """Whether this is the specification whose published figures are compared."""
        return self.spec.hash == self.estimate.measured.spec.hash

    @property
    def mismatches(self) -> int | None:
        """Codes that the golden check found wrong; None if it was not run."""
        return mismatches(self.sources)

    @property
    def not_run(self) -> list[Source]:
        """What the page has no result of."""
        missing = [name for name, source in self.sources.items() if source.result is None]
        if self.perplexities:  # a run here or the record will do
            missing = [name for name in missing if name not in ("evaluation", "record")]
        return [self.sources[name] for name in missing]

    @property
    def from_records(self) -> list[Source]:
        """What the page shows from the records that ship."""
        evaluated = self.sources["evaluation"].result is not None
        found = {name: s for name, s in self.sources.items() if s.state == "shipped"}
        return [s for name, s in found.items() if not (name == "record" and evaluated)]

    def _drawings(self) -> list[Drawing]:
        with style():
            found = [
                *head_drawings(self.spec, self.tree),
                *comparison_drawings(self.spec, self.tree),
                *model_drawings(self.tree),
            ]
            if result := self.sources["sensitivity"].result:
                found += sensitivity_drawings(self.spec, result)
            if self.perplexities:
                found.append(perplexity_drawing(self.perplexities))
        return found

    def _tables(self) -> list[View]:
        perplexities = [perplexity_table(self.perplexities)] if self.perplexities else []
        return [
            *specification_tables(self.spec),
            *check_tables(self.sources),
            *cost_tables(self.tree, self.estimate.measured, self.spec),
            *comparison_tables(self.tree),
            *system_tables(self.tree),
            *perplexities,
            *origin_tables(self.spec, self.sources, self.tree["measured"], self.provenance),
        ]

    def html(self) -> str:
        """The page."""
        environment = Environment(
            loader=PackageLoader("estimate.report"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"shown": shown, "count": count, "percent": percent}
        environment.filters["short_hash"] = short_hash
        environment.tests["mark"] = lambda value: isinstance(value, Mark)
        folder = resources.files("estimate.report") / "templates"
        return environment.get_template("page.html.j2").render(
            css=(folder / "style.css").read_text("utf-8"),
            sections=SECTIONS,
            report=self,
            spec=self.spec,
            tree=self.tree,
            figures=self.figures,
            tables=self.tables,
            sources=self.sources,
            cards=cards(self.tree, self.sources, self.perplexities, self.of_paper),
            measured=self.estimate.measured,
            kinds=KINDS,
            verdict=verdict(self.tree),
        )

    def result(self) -> dict[str, Any]:
        """For JSON: the estimate, what was checked, and where everything comes from."""
        checks = {
            name: None if (result := self.sources[name].result) is None else {
                key: result[key] for key in ("head_tokens", "mismatches", "simulator", "seed")
            }
            for name in ("verify", "sim")
        }  # fmt: skip
        return {
            **self.tree,
            **self.spec.hashes,
            "golden_mismatches": self.mismatches,
            "checks": checks,
            "verdict": verdict(self.tree),
            "perplexity": self.perplexities,
            "seeds": seeds(self.spec, self.sources),
            "sources": {name: _origin(source) for name, source in self.sources.items()},
            "sections": list(SECTIONS),
            "figures": list(self.figures),
            "tables": list(self.tables),
            **self.provenance,
        }


def _by_name(items: Iterable[Any]) -> dict[str, Any]:
    return {item.name: item for item in items}


def _origin(source: Source) -> dict[str, Any]:
    found = source.result or {}
    return {
        "command": source.command,
        "state": source.state,
        "note": source.note,
        **{key: found[key] for key in ("git", "time_utc", "packages") if key in found},
    }
