"""The page in headless Chromium: drawn, within the screen and the paper, readable, without errors.

Skipped where there is no Chromium: `make test-all` installs it.
"""

import base64
import re
import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

from estimate.report.page import SECTIONS

PROGRAMS = ("chromium", "chromedriver")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"no {' and '.join(MISSING)}: make test-all or sh .ci/install.sh browser"
)
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--force-color-profile=srgb"),
)
PAPER = 700  # px: A4 without its margins
CONTRAST = 4.5  # WCAG 2, level AA
CUT_OFF = """return [...document.querySelectorAll('.scroll, .plot, svg, table')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => e.innerText.slice(0, 60))"""
BOXES = """return Object.fromEntries([...document.querySelectorAll(arguments[0])].map(e => {
    const box = e.getBoundingClientRect();
    return [e.id, [box.width, box.height, e.querySelectorAll('text').length]] }))"""
COLOURS = """const found = [];
const all = 'p, a, code, h1, h2, h3, td, th, caption span, .badge, .remark, summary, dd';
for (const e of document.querySelectorAll(all)) {
    if (!e.innerText) continue;
    let back = e, colour;
    do { colour = getComputedStyle(back).backgroundColor; back = back.parentElement }
    while (back && colour === 'rgba(0, 0, 0, 0)');
    found.push(getComputedStyle(e).color + ' on ' + colour);
}
return [...new Set(found)]"""


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.get(page.as_uri())
    yield driver
    driver.quit()


def resize(browser, width, media="", scheme="light"):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def test_every_section_and_figure_is_drawn(browser, result):
    resize(browser, 1200)
    sections = browser.execute_script(BOXES, "section")
    assert set(sections) == set(SECTIONS)
    assert all(height > 100 for _, height, _ in sections.values())
    figures = browser.execute_script(BOXES, "figure")
    assert set(figures) == {f"figure-{name}" for name in result["figures"]}
    for name, (width, height, letters) in figures.items():
        assert width > 400 and height > 150 and letters > 5, name


def test_nothing_fails_and_nothing_is_fetched(browser):
    script = "return performance.getEntriesByType('resource').map(e => e.name)"
    assert [name for name in browser.execute_script(script) if name != "data:,"] == []
    broken = "return [...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert browser.execute_script(broken) == 0
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("width", [360, 768, 1200])
def test_the_page_is_no_wider_than_the_screen(width, browser):
    resize(browser, width)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    script = "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
    needed, there = browser.execute_script(script)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = false)")
    assert needed <= there <= width


def test_it_prints(browser):
    options = {"preferCSSPageSize": True, "printBackground": True}
    printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", options)["data"])
    assert printed.startswith(b"%PDF") and len(printed) > 100_000
    assert 8 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 30


def test_nothing_is_cut_off_on_paper(browser):
    resize(browser, PAPER, media="print")
    cut = browser.execute_script(CUT_OFF)
    resize(browser, 1200)
    assert cut == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out(scheme, browser):
    resize(browser, 1200, scheme=scheme)
    pairs = browser.execute_script(COLOURS)
    resize(browser, 1200)
    assert len(pairs) >= 6
    assert {pair: found for pair in pairs if (found := contrast(pair)) < CONTRAST} == {}


def test_details_open_by_keyboard(browser):
    details = browser.find_element("css selector", "details")
    details.find_element("css selector", "summary").send_keys(Keys.ENTER)
    assert details.get_attribute("open") and details.find_element("tag name", "td").is_displayed()


def contrast(pair):
    """Of two colours, as WCAG 2 computes it."""
    a, b = (luminance(part) for part in pair.split(" on "))
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


def luminance(colour):
    channels = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in channels]
    return sum(x * w for x, w in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))
