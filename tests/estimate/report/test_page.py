"""The page as a file: complete, self-contained, accessible, true to its numbers."""

import re
from itertools import pairwise

import pytest

from estimate.report.page import SECTIONS
from tests.estimate.report.html_tree import parse

FIGURES = {
    *("timeline", "energy", "area", "digital", "published", "gpus", "roofline", "peers"),
    *("systems", "lengths", "parameters", "design", "imperfections", "perplexity"),
}


@pytest.fixture(scope="module")
def parsed(page):
    return parse(page.read_text())


@pytest.fixture(scope="module")
def tree(parsed):
    return parsed[0]


def by_id(tree, name):
    return next(element for element in tree if element.get("id") == name)


def rows(table):
    return [[cell.text for cell in row.all("th", "td")] for row in table.all("tr")]


def table(tree, name):
    captions = {t.all("caption")[0].get("id"): t for t in tree.all("table")}
    return captions[f"table-{name}"]


def test_every_section_is_there_in_order_and_linked(tree):
    assert [s.get("id") for s in tree.all("section")] == list(SECTIONS)
    links = [a.get("href") for a in tree.all("nav")[0].all("a")]
    assert links == [f"#{name}" for name in SECTIONS]
    for section in tree.all("section"):
        heading = by_id(section, section.get("aria-labelledby"))
        assert heading.tag == "h2" and heading.text == SECTIONS[section.get("id")]


def test_every_figure_is_there_with_words_for_who_cannot_see_it(tree, result):
    assert set(result["figures"]) == FIGURES
    for name in FIGURES:
        figure = by_id(tree, f"figure-{name}")
        svg = figure.all("svg")[0]
        assert svg.get("role") == "img"
        title, description = (by_id(svg, part) for part in svg.get("aria-labelledby").split())
        assert (title.tag, description.tag) == ("title", "desc")
        assert title.text and len(description.text) > 40
        assert len(svg.all("text")) > 5, "letters became paths"
        caption = figure.all("figcaption")[0]
        assert caption.all("code")[0].text.startswith("make ")


def test_every_table_is_there_with_caption_and_scopes(tree, result):
    names = [t.all("caption")[0].get("id") for t in tree.all("table")]
    assert sorted(names) == sorted(f"table-{name}" for name in result["tables"])
    for found in tree.all("table"):
        assert found.all("caption")[0].text
        scopes = [cell.get("scope") for cell in found.all("th")]
        assert {"col", "row"} == set(scopes)
        widths = {len(row) for row in rows(found)}
        assert len(widths) == 1, "rows of different lengths"


def test_headings_are_in_order(tree):
    levels = [int(h.tag[1]) for h in tree.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_language_title_and_ids(parsed):
    tree, ids = parsed[0], set(parsed[1])
    assert tree.all("html")[0].get("lang") == "en" and tree.all("title")[0].text
    assert len(ids) == len(parsed[1])
    for element in tree:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set((element.get(name) or "").split()) <= ids
        href = element.get("href") or element.get("xlink:href") or ""
        assert href in ("", "data:,") or href.removeprefix("#") in ids, href
        for value in element.attributes.values():
            if value and "url(" in value:
                assert re.findall(r"url\(#([^)]*)\)", value)[0] in ids


def test_nothing_is_loaded_from_elsewhere(page, tree):
    assert not tree.all("script", "iframe", "object", "embed", "img", "image")
    assert [link.get("href") for link in tree.all("link")] == ["data:,"]
    text = page.read_text()
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    addresses = set(re.findall(r"https?://[^\"' <>)]*", text))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    policy = next(m for m in tree.all("meta") if m.get("http-equiv"))
    assert "default-src 'none'" in policy.get("content")


def test_the_published_rows_are_those_of_the_result(tree, result):
    keys = {"name", "ours", "published", "ratio", "tolerance", "calibrated"}
    found = {row[0]: row for row in rows(table(tree, "published"))[1:]}
    assert len(found) == len(result["published"]) >= 15
    for row in result["published"]:
        assert keys <= set(row)
        cells = found[row["name"]]
        assert cells[3] == f"{row['ratio']:.3f}"
        assert cells[5] == ("calibrated" if row["calibrated"] else "predicted")


def test_the_summary_counts_what_the_table_says(tree, result):
    summary = by_id(tree, "summary").text
    predicted = [row for row in result["published"] if not row["calibrated"]]
    within = sum(row["within"] for row in predicted)
    total = len(result["published"])
    assert f"Of {total} published figures {len(predicted)} are predicted, {within}" in summary
    assert f"the other {total - len(predicted)} are calibrated" in summary
    assert "head-tokens: 16 (make verify) and 16 (make sim)" in summary


def test_checks_seeds_and_hashes_are_shown(tree, result):
    assert (
        result["golden_mismatches"] == 0 and result["seeds"]["golden vectors (make verify)"] == 17
    )
    check = rows(table(tree, "check"))[1:]
    assert [row[1] for row in check] == ["numpy", "RTL in icarus 11.0", "RTL in icarus 11.0"]
    assert check[1][-1] == "up to 40 cycles"
    assert result["spec_hash"] in by_id(tree, "provenance").text
    assert ["golden vectors (make verify)", "17"] in rows(table(tree, "seeds"))
    assert result["git"].get("commit", "")[:12] in by_id(tree, "provenance").text


def test_words_of_others_are_not_taken_for_markup(tree, page):
    assert rows(table(tree, "validation"))[1][0] == "gaps <b>&amp;</b>"
    assert "<b>" not in page.read_text()


def test_no_value_was_forgotten(tree):
    words = " ".join(body.text for body in tree.all("body"))
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b|\{\{|%\}", words)


def test_origins_are_named_as_they_are(tree):
    kinds = {row[0]: row[2] for row in rows(table(tree, "circuits"))}
    assert kinds["technology.clock_gate_fanout"] == "measured"
    assert kinds["technology.flip_flop_area_m2"] == "assumed"
    assert kinds["cell.tau_s"] == "published"
    text = by_id(tree, "summary").text
    assert "3 contradictions" in text and "4 factors that are cut off" in text
    assert "make bench" not in tree.all("body")[0].text
