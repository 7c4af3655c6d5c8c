"""Tests of the site in Chromium without a network: no errors, search, copying, and accessibility rules (axe-core)."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
OPTIONS = (
    "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update "
    "disable-sync window-size=1300,1000"
)
PAGES = [
    "index.html",
    "docs/start/first_network.html",
    "docs/tutorials/lenet.html",
    "docs/internals.html",
    "api/flambeau.optim.html",
    "search.html",
]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Request handler of a file server without a log."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: nox -s docs -- test")
    if BROWSER is None or DRIVER is None:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for option in (*OPTIONS.split(), f"user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(120)
    yield driver
    driver.quit()


def errors(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def wait_for(browser: Any, condition: str) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(f"return {condition}"))


def test_every_page_loads_without_errors(site: Path, address: str, browser: Any) -> None:
    found = {}
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    sources = [name for name in names if name.startswith("source/")]  # these pages are alike, so some of them suffice
    for name in [*sources[:20], *(name for name in names if not name.startswith("source/"))]:
        browser.get(f"{address}/{name}")
        if messages := errors(browser):
            found[name] = messages
    assert found == {}


def test_pages_request_nothing_from_other_hosts(address: str, browser: Any) -> None:
    for name in PAGES:
        browser.get(f"{address}/{name}")
        script = "return performance.getEntriesByType('resource').map(each => each.name)"
        assert [each for each in browser.execute_script(script) if not each.startswith((address, "data:"))] == []


@pytest.mark.parametrize("word", ["conv2d", "vmap"])
def test_search_finds_functions(address: str, browser: Any, word: str) -> None:
    browser.get(f"{address}/search.html?q={word}")
    wait_for(browser, "document.querySelectorAll('#search-results li a').length > 0")
    found = browser.execute_script("return [...document.querySelectorAll('#search-results li a')].map(a => a.href)")
    assert any(link.endswith(f".{word}") for link in found[:10]), found[:10]


def test_code_blocks_can_be_copied(address: str, browser: Any) -> None:
    browser.get(f"{address}/docs/start/first_network.html")
    assert wait_for(browser, "document.querySelectorAll('div.highlight-python button.copybtn').length") > 0
    browser.get(f"{address}/api/flambeau.optim.html")
    assert wait_for(browser, "document.querySelectorAll('dl.api button.copybtn').length") > 10


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_accessible(address: str, browser: Any, name: str, theme: str) -> None:
    Axe = pytest.importorskip("axe_selenium_python", reason="needs axe-selenium-python").Axe
    browser.get(f"{address}/{name}")
    browser.execute_script(f"localStorage.setItem('theme', '{theme}')")
    browser.get(f"{address}/{name}")
    axe = Axe(browser)
    axe.inject()
    violations = axe.run()["violations"]
    serious = [each for each in violations if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"][:150] for node in each["nodes"]][:5]) for each in serious] == []


@pytest.mark.parametrize("name", PAGES[:-1])
def test_pages_fit_a_phone_screen(address: str, browser: Any, name: str) -> None:
    size = {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get(f"{address}/{name}")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
