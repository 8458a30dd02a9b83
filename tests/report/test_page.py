"""The report: loads nothing, escapes everything, shows what the metrics say, and works in a browser."""

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from jinja2 import UndefinedError

from moleflow.evaluation.outcomes import Outcome
from moleflow.report.page import TEMPLATES
from moleflow.report.tables import Table
from stages.report import commit_line

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--virtual-time-budget=5000", "--dump-dom"]


def test_page_loads_nothing_and_repeats_byte_for_byte(make_page):
    text = make_page()
    loaded = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)|url\(([^)]*)|@import""", text)
    assert loaded
    assert all(source.startswith("data:") for source, _ in loaded)
    assert "http:" not in text
    assert "https:" not in text
    assert "default-src 'none'" in text
    assert text == make_page()


def test_names_from_files_are_escaped(make_page):
    hostile = '<script>alert("x")</script>&$$'
    text = make_page(defect=hostile, params=f"name: {hostile}")
    assert hostile not in text
    assert text.count("&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;&amp;$$") > 1
    assert text.count("<script") == 1


def test_a_products_name_is_escaped_in_every_section(make_page, judged):
    name, escaped = '<b>"x"&', "&lt;b&gt;&#34;x&#34;&amp;"
    text = make_page(first=name, nut=replace(judged(1), alarm_rate=0.05), misrouted=1)
    assert name not in text
    assert "<b>" not in text
    for section in ("summary", "forgetting", "baselines", "probe", "router"):
        body = text.split(f'<section id="{section}">')[1].split("</section>")[0]
        assert escaped in body, section
    assert f"is at most 0.2 for {escaped}, 0.05 for nut, so that" in text
    assert f"<dt>routed to</dt><dd>{escaped}</dd>" in text
    assert f"/{escaped}/" in text  # the folder in the title of a case


def as_html(table: Table) -> str:
    return TEMPLATES.get_template("tables.html").module.plain(table)


def test_tables_escape_every_cell_and_mark_columns_of_words():
    name = '<b>"x"&'
    made = as_html(Table([name, name, "share"], [[name, "word", "0.5"], ["bolt", name, "–"]]))
    assert "<b>" not in made
    assert made.count("&lt;b&gt;&#34;x&#34;&amp;") == 4
    assert made.count('<th scope="col" class="text">') == 2
    assert '<td class="text">word</td><td>0.5</td>' in made


def test_a_template_with_an_undefined_variable_raises():
    for source in ("{{ absent }}", "{% if absent %}{% endif %}", "{{ table.absent }}"):
        with pytest.raises(UndefinedError, match="absent"):
            TEMPLATES.from_string(source).render(table=Table([], []))
    with pytest.raises(UndefinedError):
        TEMPLATES.get_template("page.html").render()


def test_undefined_metrics_tell_their_reason(make_page):
    text = make_page()
    assert '<abbr title="the product has no masks" tabindex="0">–</abbr>' in text
    assert "The product has no masks." in text


def test_too_few_held_out_images_leave_a_page_without_a_threshold(make_page, judged):
    text = make_page(nut=judged(1, threshold=np.inf))
    assert "no alarm threshold can be warranted" in text
    assert '<abbr title="too few normal images for an alarm_rate of 0.2" tabindex="0">–</abbr>' in text


def test_no_baselines_no_section(make_page):
    assert '<section id="baselines">' in make_page()
    assert '<section id="baselines">' not in make_page(baselines=())


def test_long_lists_of_misrouted_images_are_cut_and_say_so(make_page):
    assert "nearest product" not in make_page()
    assert "are listed." not in make_page(misrouted=50)
    text = make_page(misrouted=60)
    assert "60 test images lie nearer" in text
    assert "The first 50 are listed." in text
    assert text.count('<td class="text">a.png</td>') == 50


def test_every_products_own_rate_is_told(make_page, judged):
    assert "is at most 0.2, so that" in make_page()
    assert "is at most 0.2 for bolt, 0.05 for nut, so that" in make_page(nut=replace(judged(1), alarm_rate=0.05))


def test_a_loss_is_written_into_the_matrix(make_page, judged):
    forgetful = judged(0)
    (own, _) = forgetful.own
    worse = replace(own, comparable_score=-own.comparable_score)
    lost = Outcome(**{**vars(forgetful), "routed": [own, worse], "chosen": np.tile([0, 1], (12, 1))})
    assert "0.000<small>−1.000</small>" in make_page(bolt=lost)


def test_commit_is_told_with_what_was_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit_line() == "no git commit"
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "params.yaml").write_text("a")
    assert commit_line() == "no git commit"
    subprocess.run([*git, "add", "params.yaml"], check=True)
    subprocess.run([*git, "commit", "-qm", "a"], check=True)
    (tmp_path / "dvc.lock").write_text("what every run changes")
    assert re.fullmatch("commit [0-9a-f]{8}", commit_line())
    (tmp_path / "params.yaml").write_text("b")
    assert commit_line().endswith(" with uncommitted changes")


SPY = "<head><script>window.onerror = message => document.documentElement.dataset.error = message;</script>"
ACT = """<script>{
const headings = [...document.querySelectorAll("#products th[aria-sort]")];
const heading = name => headings.find(each => each.innerText.includes(name));
const order = () => [...document.querySelectorAll(".opener")].map(each => each.innerText).join();
const root = document.documentElement.dataset;
heading("False").firstChild.click();
root.descending = order() + heading("False").getAttribute("aria-sort");
heading("False").firstChild.click();
root.ascending = order() + heading("False").getAttribute("aria-sort");
heading("False").firstChild.click();
heading("Pixel AP").firstChild.click();
root.undefinedLast = order();
document.querySelector(".opener").click();
root.shown = [...document.querySelectorAll(".detail")].map(each => each.offsetHeight > 0).join();
}</script></body>"""


def test_page_works_in_a_browser(make_page, tmp_path, judged):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed; the page's script is not run")
    text = make_page(bolt=judged(0, normal=8), nut=judged(1, normal=6, masks=False))
    copy = tmp_path / "page.html"
    copy.write_text(text.replace("<head>", SPY).replace("</body>", ACT), encoding="utf-8")
    command = [browser, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", copy.as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    opening = re.search("<html[^>]*>", dumped)[0]
    assert "data-error" not in opening
    assert 'data-descending="nut,boltdescending"' in opening
    assert 'data-ascending="bolt,nutascending"' in opening
    assert 'data-undefined-last="bolt,nut"' in opening
    assert 'data-shown="true,false"' in opening
    assert 'aria-expanded="true" aria-controls="detail-0"' in dumped
