"""The page of a sweep, in a real browser."""

import base64
import csv
import io
import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from loomlab.report.page import write_report
from loomlab.run.ledger import Ledger

pytestmark = pytest.mark.slow
EVIL = "<script>window.hit=1</script><img src=x onerror=window.hit=1></script><b>bold</b>"
SHOWN = "shown().map(r => r.number)"


def drawn(browser: Any, figure: str) -> list[str]:
    """Names of the lines of a figure."""
    return list(browser.js(f"document.getElementById('{figure}').data.map(t => t.name)"))


def table(browser: Any, column: str) -> list[str]:
    """Texts of a column of the table of runs, from the top."""
    return list(
        browser.js(
            "[...document.querySelectorAll('#runs tbody tr')].map(row => row.cells["
            "[...document.querySelectorAll('#runs th')].findIndex("
            f"h => h.dataset.key === '{column}')].textContent)"
        )
    )


def test_loads_without_an_error_and_without_the_network(seen: Any, report: Path):
    assert seen.console == []
    assert seen.requests == [report.as_uri()]
    assert "http" not in seen.js("performance.getEntriesByType('resource').map(e => e.name)")
    for figure in ("curves", "parallel", "importance", "effect", "pareto"):
        assert seen.js(f"document.querySelectorAll('#{figure} .main-svg').length") > 0, figure


def test_a_screenshot_is_not_blank(seen: Any):
    for figure in ("curves", "parallel", "pareto"):
        seen.js(f"document.getElementById('{figure}').scrollIntoView({{block: 'center'}})")
        seen.settle()
        box = seen.js(
            f"(b => [b.left, b.top, b.right, b.bottom])"
            f"(document.getElementById('{figure}').getBoundingClientRect())"
        )
        picture = Image.open(io.BytesIO(seen.screenshot())).convert("RGB").crop(box)
        colours = picture.getcolors(1 << 24)
        vivid = sum(n for n, (r, g, b) in colours if max(r, g, b) - min(r, g, b) > 60)
        assert vivid > 300, f"{figure} shows nothing coloured"


def test_pareto_front_is_what_no_run_beats(seen: Any):
    points, front = seen.js(
        "(g => [g.data[1].x.map((x, i) => [x, g.data[1].y[i]]),"
        " g.data[0].x.map((x, i) => [x, g.data[0].y[i]])])(document.getElementById('pareto'))"
    )
    beaten = [p for p in points if any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)]
    assert sorted(map(tuple, front)) == sorted(tuple(p) for p in points if p not in beaten)
    assert front


def test_samples_stand_side_by_side_and_failures_show_their_log(seen: Any):
    heads = seen.js("[...document.querySelectorAll('#samples th')].map(h => h.textContent)")
    assert len(heads) == 7
    rows = seen.js("[...document.querySelectorAll('#samples tbody tr')].map(r => r.innerText)")
    assert len(rows) == 4
    assert all("curious dream" in row for row in rows)
    failures = seen.js("document.getElementById('failures').textContent")
    assert "RuntimeError: not enough memory" in failures
    assert "tried to allocate 2 GiB" in failures


def test_the_filter_changes_rows_and_curves(opened: Any):
    assert len(drawn(opened, "curves")) == 15  # all but the one that has not begun
    opened.choose("filter", "optimizer=sgd lr<0.0005")
    assert set(table(opened, "setting:optimizer")) == {"sgd"}
    assert table(opened, "setting:optimizer.lr") == ["0.0003", "0.0001"]
    assert len(drawn(opened, "curves")) == 2
    assert opened.js("document.getElementById('count').textContent") == "2 of 16 runs shown"
    opened.choose("filter", "state!=done")
    assert set(table(opened, "state")) == {"failed", "running", "pending", "interrupted"}
    opened.js("document.getElementById('reset').click()")
    opened.settle()
    assert len(table(opened, "state")) == 16


def test_headings_sort_and_runs_without_a_value_stay_below(opened: Any):
    values = table(opened, "metric:val/bits_per_byte")
    numbers = [float(v) for v in values[:13]]  # done and running
    assert numbers == sorted(numbers), "the best is first"
    key = '[data-key="setting:optimizer.lr"]'
    opened.js(f"document.querySelector('{key}').click()")
    assert table(opened, "setting:optimizer.lr")[:5] == ["0.0001"] * 4 + ["0.0003"]
    opened.js(f"document.querySelector('{key}').click()")
    assert table(opened, "setting:optimizer.lr")[-4:] == ["0.0001"] * 4
    opened.js("document.querySelector('[data-key=\"cost:parameters\"]').click()")
    assert set(table(opened, "cost:parameters")[-4:]) == {"-"}


def test_a_hidden_run_leaves_the_figures_and_a_marked_one_stands_out(opened: Any):
    first = int(table(opened, "number")[0])
    opened.js(f"document.querySelector('tr[data-run=\"{first}\"] input').click()")
    opened.settle()
    assert len(drawn(opened, "curves")) == 14
    assert first not in opened.js(SHOWN)
    second = int(table(opened, "number")[1])
    opened.js(f"document.querySelector('tr[data-run=\"{second}\"]').click()")
    opened.settle()
    widths = opened.js("document.getElementById('curves').data.map(t => t.line.width)")
    assert sorted(widths)[-2:] == [1.7, 4]


def test_hovering_names_the_run(opened: Any):
    place = opened.js(
        "(g => { g.scrollIntoView({block: 'center'}); const b = g.getBoundingClientRect(),"
        " {xaxis, yaxis} = g._fullLayout, t = g.data[0], i = 1; return ["
        " b.left + xaxis._offset + xaxis.d2p(t.x[i]), b.top + yaxis._offset + yaxis.d2p(t.y[i]),"
        " t.text[i]] })(document.getElementById('curves'))"
    )
    opened.move(place[0] - 3, place[1])
    opened.move(*place[:2])
    opened.wait("document.querySelector('#curves .hoverlayer .hovertext')")
    label = opened.js("document.querySelector('#curves .hoverlayer .hovertext').textContent")
    assert place[2] in label
    assert "at" in label


def test_colours_of_a_run_agree_across_figures(opened: Any):
    opened.choose("colour", "run")
    lines = opened.js(
        "document.getElementById('curves').data.map(t => [t.customdata[0], t.line.color])"
    )
    points = opened.js(
        "(t => t.customdata.map((c, i) => [c, t.marker.color[i]]))"
        "(document.getElementById('pareto').data[1])"
    )
    curves = dict(lines)
    assert len(set(curves.values())) == len(curves), "every run has a colour of its own"
    assert points
    assert all(curves[number] == colour for number, colour in points)


def test_a_box_over_an_axis_keeps_the_runs_that_cross_there(opened: Any):
    axis = opened.js(
        "(g => { g.scrollIntoView({block: 'center'}); const b = g.getBoundingClientRect(),"
        " {xaxis, yaxis} = g._fullLayout;"
        " const at = parallelAxes[0].ticks.find(t => t[1] === 'muon')[0];"
        " return [b.left + xaxis._offset + xaxis.d2p(0), b.top + yaxis._offset + yaxis.d2p(at)] })"
        "(document.getElementById('parallel'))"
    )
    opened.drag((axis[0] - 25, axis[1] - 14), (axis[0] + 25, axis[1] + 14))
    opened.wait("page.brushes.size === 1")
    opened.settle()
    assert opened.js("[...new Set(shown().map(r => r.settings.optimizer))]") == ["muon"]
    assert len(drawn(opened, "curves")) < 15
    opened.js("document.querySelector('#brushes button').click()")
    opened.settle()
    assert len(drawn(opened, "curves")) == 15


def test_curves_over_every_cost(opened: Any, report: Path):
    for x in ("step", "tokens", "flops", "seconds"):
        opened.choose("curve-x", x)
        first = "(t => [t.customdata[0], t.x])(document.getElementById('curves').data[0])"
        number, xs = opened.js(first)
        folder = report.parent / Ledger(report.parent).jobs()[number].folder
        with (folder / "metrics.csv").open(newline="") as file:
            wanted = [float(r[x]) for r in csv.DictReader(file) if r["val/bits_per_byte"]]
        assert xs == pytest.approx(wanted, rel=1e-6), x


def test_smoothing_and_log_scale(opened: Any):
    opened.choose("curve-y", "train/loss")
    rough = opened.js("document.getElementById('curves').data[0].y")
    opened.js("document.getElementById('log-y').click()")
    opened.choose("smoothing", "0.9")
    raw, smooth = opened.js("document.getElementById('curves').data.slice(0, 2).map(t => t.y)")
    assert raw == rough
    jumps = [sum(abs(a - b) for a, b in pairwise(y)) for y in (raw, smooth)]
    assert jumps[1] < 0.8 * jumps[0]
    assert opened.js("document.getElementById('curves').layout.yaxis.type") == "log"


def test_text_of_runs_is_never_run(browser: Any, make_sweep: Callable[..., Path], tmp_path: Path):
    folder = make_sweep(tmp_path / "<i>evil", done=3, failed=1)
    ledger = Ledger(folder)
    for job in ledger.jobs():
        differs = {**job.differs, "optimizer": f"{job.number}{EVIL}", EVIL: EVIL + str(job.number)}
        ledger.update(job.key, differs=differs, message=EVIL, log_tail=EVIL)
        line = {"step": 1, "prompt": EVIL, "temperature": 0.5, "text": EVIL}
        (folder / job.folder / "samples.jsonl").write_text(json.dumps(line) + "\n")
    ledger.define({"arguments": [EVIL]})
    path = write_report(folder)
    assert EVIL not in path.read_text()
    browser.open(path)
    for label in ("failures", "samples", "runs", "command"):
        assert EVIL in browser.js(f"document.getElementById('{label}').textContent")
    assert "<script>" in browser.js("document.querySelector('#curves .legend').textContent")
    assert browser.js("document.querySelectorAll('main img, main b, main script').length") == (
        browser.js("document.querySelectorAll('.tile b').length")
    )
    assert browser.js("window.hit") is None
    assert browser.console == []


def test_what_got_in_as_html_would_not_be_run(opened: Any):
    opened.js("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.hit=1>')")
    opened.js("document.body.append(Object.assign(document.createElement('script'),"
              " {textContent: 'window.hit = 1'}))")  # fmt: skip
    opened.settle()
    assert opened.js("window.hit") is None
    assert any("Content Security Policy" in line for line in opened.console)


@pytest.mark.parametrize(
    "states",
    [{"pending": 3}, {"running": 2, "pending": 1},
     pytest.param({"failed": 2}, marks=pytest.mark.soak)],
)  # fmt: skip
def test_a_sweep_of_which_nothing_is_finished(
    browser: Any, make_sweep: Callable[..., Path], tmp_path: Path, states: dict[str, int]
):
    path = write_report(make_sweep(tmp_path / "sweep", done=0, **states))
    browser.open(path)
    assert browser.console == []
    assert len(table(browser, "state")) == sum(states.values())
    assert browser.js("document.getElementById('curves').textContent") or "pending" in states


def test_100_runs_are_small_and_quick(
    browser: Any, make_sweep: Callable[..., Path], tmp_path: Path
):
    path = write_report(make_sweep(tmp_path / "big", done=95, failed=5, rows=300))
    assert path.stat().st_size < 5e6
    browser.open(path)
    assert len(drawn(browser, "curves")) == 100
    assert browser.console == []


def look(browser: Any) -> tuple[str, bool]:
    """The theme of the page, and whether page and figures are bright."""
    theme, page, figure = browser.js(
        "[document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('#curves .main-svg')).backgroundColor]"
    )
    bright = [sum(map(int, re.findall(r"\d+", colour)[:3])) > 600 for colour in (page, figure)]
    assert bright[0] == bright[1], (page, figure)
    return theme, bright[0]


def test_dark_as_the_system_is_or_the_button_says(opened: Any):
    feature = {"name": "prefers-color-scheme", "value": "dark"}
    assert look(opened) == ("light", True)
    opened.call("Emulation.setEmulatedMedia", features=[feature])
    opened.wait("isDark()")
    assert look(opened) == ("dark", False)
    opened.js("document.getElementById('theme').click()")
    assert look(opened) == ("light", True)
    opened.call("Emulation.setEmulatedMedia", features=[])
    assert opened.console == []


def test_on_paper_it_is_light_as_wide_as_the_paper_and_unfolded(opened: Any):
    opened.js("document.getElementById('theme').click()")
    opened.js(
        "addEventListener('beforeprint', () => window.paper = [isDark(), Math.max(...["
        "...document.querySelectorAll('.figure .main-svg')].map(f => f.clientWidth)),"
        " document.querySelectorAll('details:not([open])').length])"
    )
    pdf = base64.b64decode(opened.call("Page.printToPDF", printBackground=True)["data"])
    dark, widest, folded = opened.js("window.paper")
    assert (dark, folded) == (False, 0)
    assert 500 < widest < 720, "190 mm at 96 dots an inch"
    assert 2 < len(re.findall(rb"/Type\s*/Page\b", pdf)) < 30
    assert look(opened) == ("dark", False)
    opened.wait("document.getElementById('curves')._fullLayout.width > 720")
    assert opened.js("document.querySelectorAll('details:not([open])').length") > 0


def test_figures_keep_their_heights_when_the_window_is_resized(opened: Any):
    sides = "[...document.querySelectorAll('.figure')].map(f => [f.clientHeight, f.clientWidth])"
    before = opened.js(sides)
    for width in (1000, 1400):
        opened.js("document.getElementById('theme').click()")
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        opened.call("Emulation.setDeviceMetricsOverride", **size)
        opened.wait(
            f"Math.abs(document.getElementById('curves')._fullLayout.width - {width}) < 150"
        )
    assert [height for height, _ in opened.js(sides)] == [height for height, _ in before]
