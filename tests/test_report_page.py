"""The report's page: what it weighs, that it can be rebuilt, and how it behaves in a browser."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from oracles import cli
from oracles.journal import Run, read_run
from oracles.report import write_reports
from oracles.report.findings import in_order, shown
from oracles.report.page import LIMIT
from tests.long_run import long_run
from tests.support import complaints

ROOT = Path(__file__).parents[1]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which the subject fails, after one of sound minigrad in the same folder."""
    path = tmp_path_factory.mktemp("run")
    words = ["verify", "--oracles", "torch", "--dtypes", "float64", "--workers", "2", "--out", str(path)]
    assert cli.main([*words, "--examples", "6"]) == 0
    assert cli.main([*words, "--examples", "12", "--subject", "oracles.faults:sign@tanh.0"]) == 1
    return path


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return read_run(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found[0], args=["--no-sandbox"])
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """A page in a browser, and what it asked for or complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def visit(browser: Browser, folder: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """The run's page opened from disk; a parameter is options of the browser's context."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **getattr(request, "param", {}))
    visited = Visit(context.new_page())
    visited.page.on("request", lambda asked: visited.requests.append(asked.url))
    visited.page.on("console", lambda message: visited.complaints.append(message.text))
    visited.page.on("pageerror", lambda error: visited.complaints.append(str(error)))
    visited.page.goto((folder / "index.html").as_uri())
    yield visited
    context.close()
    assert visited.complaints == []


def expect_address(visit: Visit, fragment: str) -> None:
    expect(visit.page).to_have_url(f"{visit.page.url.partition('#')[0]}#{fragment}")


# In a browser.  What a browser does in its own time (events of its own, the address) is waited for.


def test_it_opens_from_disk_and_asks_for_nothing_else(visit: Visit, folder: Path) -> None:
    assert visit.requests == [(folder / "index.html").as_uri()]
    assert visit.page.locator("h1").inner_text().startswith("✗ FAIL oracles.faults:sign@tanh.0")


def test_what_the_subject_fails_comes_first_and_open(visit: Visit) -> None:
    first = visit.page.locator(".finding").first
    assert first.get_attribute("data-party") == "oracles.faults:sign@tanh.0"
    assert first.locator("svg").is_visible()
    assert re.search(r"got .*, the truth is .* units of noise", first.locator(".why").inner_text())


def test_filters_hide_and_stand_in_the_address(visit: Visit) -> None:
    page, findings = visit.page, visit.page.locator(".finding")
    page.select_option("select[name=party]", "torch")
    page.fill("#q", "ldexp")
    assert {each.get_attribute("data-party") for each in findings.all() if each.is_visible()} == {"torch"}
    expect_address(visit, "q=ldexp&party=torch")
    shown = page.locator(".matrix tbody:visible summary").all_inner_texts()
    assert shown == ["ldexp"]
    page.reload()
    assert page.input_value("#q") == "ldexp"
    assert page.locator(".matrix tbody:visible summary").all_inner_texts() == shown
    page.keyboard.press("Escape")
    expect(findings.filter(visible=False)).to_have_count(0)


def test_the_way_back_undoes_a_filter(visit: Visit) -> None:
    page = visit.page
    before = page.locator(".finding:visible").count()
    page.select_option("select[name=label]", "wrong")
    page.select_option("select[name=party]", "torch")
    fewer = page.locator(".finding:visible").count()
    page.go_back()
    expect(page.locator("select[name=party]")).to_have_value("")
    page.go_back()
    expect(page.locator(".finding:visible")).to_have_count(before)
    assert fewer < before


def test_a_cell_opens_its_functions_pictures(visit: Visit) -> None:
    page = visit.page
    row = page.locator(".matrix:visible tbody", has=page.get_by_text("tanh", exact=True))
    assert not row.locator("svg").first.is_visible()
    row.locator("td").nth(1).click()
    assert row.locator("svg").first.is_visible()
    expect_address(visit, "open=tanh")
    page.locator("input[name=view]").nth(1).check()
    expect_address(visit, "view=float64-2")
    page.goto(page.url.partition("#")[0] + "#view=float64-2&open=tanh")
    page.reload()
    assert page.locator("#matrix-float64-2 .p:visible").count() == 1


def test_columns_sort(visit: Visit) -> None:
    page = visit.page
    names = page.locator("#matrix-float64-1 summary")
    before = names.all_inner_texts()
    page.locator("#matrix-float64-1 thead button").first.click()
    page.locator("#matrix-float64-1 thead button").first.click()
    assert names.all_inner_texts() == sorted(before, key=str.lower, reverse=True)


@pytest.mark.parametrize("visit", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True)
@pytest.mark.parametrize("party", ["oracles.faults:sign@tanh.0", "torch"])
def test_the_copied_line_shows_what_the_page_said(visit: Visit, party: str, folder: Path) -> None:
    finding = visit.page.locator(f".finding[data-party='{party}']").first
    if finding.get_attribute("open") is None:
        finding.locator("summary").first.click()
    finding.get_by_role("button", name="copy").first.click()
    finding.get_by_role("button", name="copied").wait_for()
    python, *words = shlex.split(visit.page.evaluate("navigator.clipboard.readText()"))
    assert python == "python"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, complaints(done.stderr)) == (1, "")
    element = finding.locator(".values tbody").first
    name, truth = (element.locator(".truth").locator(tag).first.inner_text() for tag in ("th", "td"))
    mine = element.locator(".accused td").first.inner_text()
    [answer] = re.findall(
        rf"^{re.escape(name)}: OFF.*\n    got    (\S+)  .*\n    truth  (\S+)", done.stdout, re.MULTILINE
    )
    assert answer == (mine, truth)


def test_keys_go_through_the_findings(visit: Visit) -> None:
    page = visit.page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.press("Escape")
    for _ in range(2):
        page.keyboard.press("j")
    assert page.locator(".here").get_attribute("id") == page.locator(".finding").nth(1).get_attribute("id")
    page.keyboard.press("k")
    opened = page.locator(".here").get_attribute("open")
    page.keyboard.press("o")
    assert page.locator(".here").get_attribute("open") != opened
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()


def test_the_keyboard_alone_reaches_and_opens_a_function(visit: Visit) -> None:
    page = visit.page
    page.locator("#matrix-float64-1 summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#matrix-float64-1 .p:visible").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


@pytest.mark.parametrize("visit", [{"java_script_enabled": False}], indirect=True)
def test_it_reads_without_javascript(visit: Visit) -> None:
    page = visit.page
    assert not page.locator("#filters").is_visible()
    summary = page.locator("#matrix-float64-1 summary").first
    summary.click()
    assert page.locator("#matrix-float64-1 .p:visible").count() == 1
    page.locator("#view-float64-2").check()
    assert page.locator(".matrix:visible").get_attribute("id") == "matrix-float64-2"
    assert page.locator(".finding .reproduce").first.inner_text().startswith("python ")


@pytest.mark.parametrize("visit", [{"color_scheme": scheme} for scheme in ("light", "dark")], ids=str, indirect=True)
def test_text_is_legible_in_light_and_dark(visit: Visit) -> None:
    ratios = visit.page.evaluate(CONTRAST)
    assert min(ratios.values()) >= 4.5, ratios


CONTRAST = """() => {
  const lightness = color => {
    const [r, g, b] = color.match(/\\d+/g).map(c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = lightness(getComputedStyle(document.documentElement).backgroundColor);
  const seen = {};
  for (const element of document.querySelectorAll("body *:not(svg *)")) {
    const color = getComputedStyle(element).color, [a, b] = [lightness(color), ground].sort((x, y) => y - x);
    seen[color] = (a + .05) / (b + .05);
  }
  return seen;
}"""


def test_everything_is_printed(visit: Visit) -> None:
    page = visit.page
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator(".finding .reproduce").last.evaluate("element => element.getClientRects().length") > 0


def test_a_phone_scrolls_down_only(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 800})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390


# Its size, and what lies beside it.


@pytest.fixture(scope="module", params=[20, 100_000])
def sized(request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with so many cases."""
    path = tmp_path_factory.mktemp("sized")
    write_reports(long_run(run, request.param), path)
    return path / "index.html"


def test_the_page_of_a_run_of_any_length_is_of_bounded_size(sized: Path) -> None:
    assert sized.stat().st_size <= LIMIT == 1_000_000


def test_the_page_of_a_run_of_any_length_opens(
    sized: Path, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    page = browser.new_page()
    page.goto(sized.as_uri())
    took = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert page.locator("#matrix-float64-1").is_visible()
    page.close()
    with capsys.disabled():  # told, not asserted: how long anything takes depends on who else is busy
        print(f" [{sized.stat().st_size:,} bytes open in {took / 1000:.2f} s]", end="")


def test_every_finding_is_on_the_page_even_where_not_all_are_in_full(run: Run, tmp_path: Path) -> None:
    shrunk = [record | {"id": f"small-{k}"} for k, record in enumerate([*run.footer["shrunk"]] * 40)]
    write_reports(Run(run.header, run.cases, run.footer | {"shrunk": shrunk}), tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert len(page.encode()) <= LIMIT
    assert 0 < page.count('<details class="finding') < len(shrunk)
    assert all(f"/repro/{record['id']}.py<" in page for record in shrunk)


@pytest.mark.parametrize("label", ["unsupported", "errored", "convention"])
def test_a_run_in_which_nobody_gives_a_number_has_its_page(label: str, run: Run, tmp_path: Path) -> None:
    cases = [r | {"timings": {}, "verdicts": [v | {"label": label} for v in r["verdicts"]]} for r in run.cases]
    write_reports(Run(run.header, cases, run.footer | {"shrunk": [], "findings": 0}), tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert f"<td class=w>{label}" in page
    assert "No case was timed." in page


def test_nothing_walks_back_for_a_page(run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("minigrad")]:
        if hasattr(sys.modules[name], "walk"):
            monkeypatch.setattr(sys.modules[name], "walk", None)
    write_reports(run, tmp_path)
    circuits = [(path / "index.html").read_text().count('<figure class="circuit"') for path in (folder, tmp_path)]
    assert circuits[0] == circuits[1] > 0


def test_every_table_of_the_page_has_its_file_beside_it(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    linked = set(re.findall(r'<a class="csv" href="([^"]+)"', page))
    assert linked == {path.name for path in folder.glob("*.csv")}
    assert all((folder / name).read_text().count("\n") for name in linked)


def test_the_page_says_what_changed_since_the_run_before(folder: Path, run: Run) -> None:
    page = (folder / "index.html").read_text()
    changes = page.partition('<section id="changes">')[2]
    assert "PASS" in changes
    assert "FAIL" in changes
    assert read_run(folder / "previous.jsonl").header["subject"] == "minigrad"


@pytest.mark.parametrize("missing", ["kind", "fingerprint", "label"])
def test_a_previous_journal_of_another_format_is_no_obstacle(
    missing: str, folder: Path, run: Run, tmp_path: Path
) -> None:
    other = (folder / "previous.jsonl").read_text().replace(f'"{missing}":', '"another":')
    (tmp_path / "previous.jsonl").write_text(other)
    write_reports(run, tmp_path)
    assert "of another format" in (tmp_path / "index.html").read_text()


def test_two_processes_rebuild_the_same_bytes(folder: Path) -> None:
    def rebuilt(seed: str) -> dict[str, bytes]:
        words = [sys.executable, "-m", "oracles", "report", str(folder)]
        subprocess.run(words, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    assert rebuilt("1") == rebuilt("2")


def test_every_partys_numbers_are_beside_the_truth(run: Run, folder: Path) -> None:
    for record in in_order(run):
        case: dict[str, Any] = shown(record, folder.as_posix())
        for element in case["elements"]:
            assert {*element["told"]} == {run.header["subject"], "torch"}
            for value in element["told"].values():
                assert float.fromhex(value["hex"]) == pytest.approx(
                    float(value["decimal"].split()[0]), rel=0, nan_ok=True
                )
