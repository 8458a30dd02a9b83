"""The report: loads nothing, escapes everything, orders and words its cases rightly, and works in a browser."""

import re
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import save_image

from moleflow.evaluation import Evaluation, Judged, evaluate
from moleflow.plot_data import confusion_table, histogram_table, matrix_table
from moleflow.report import page, table
from moleflow.report_cases import CASES, cases_html, contour_svg, heat_colours, heat_scale, histogram_svg, worst
from moleflow.scorer import Verdicts
from stages.report import commit_line

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--virtual-time-budget=5000", "--dump-dom"]
SIZE, RATE = 16, 0.2


def judged(number: int, *, normal: int = 4, defective: int = 8, masks: bool = True, threshold: float = 5.0) -> Judged:
    """A product of two whose scores rise from image to image, more steeply for a larger number."""
    count = normal + defective
    scores = np.arange(count) * (1.0 + number)
    patches = scores[:, None, None] + np.arange(16.0).reshape(4, 4)
    verdicts = Verdicts(patches, scores, 1 / (1 + scores), scores)
    labels = np.repeat([0, 1], [normal, defective])
    marked = np.zeros((count, SIZE, SIZE), bool)
    marked[labels == 1, 4:9, :6] = True
    steps = 2 - number
    return Judged(
        labels=labels,
        masks=marked if masks else None,
        own=verdicts,
        routed=[verdicts] * steps,
        chosen=np.full((count, steps), number),
        rejected=np.arange(count) == count - 1,
        number=number,
        threshold=threshold,
        alarm_rate=RATE,
    )


def numbers_of(flow: dict[str, Judged], evaluation: Evaluation, baselines: tuple[str, ...]) -> dict[str, Any]:
    """What evaluate writes into metrics/*.json, with invented probes."""
    rejections = dict.fromkeys(("rejected_normal", "rejected_defective", "unknown_rejected", "open_set_auroc"), 0.1)
    summary = evaluation.summary | rejections
    classes = {name: each | rejections for name, each in evaluation.classes.items()}
    candidate = {"probe_image_auroc": 0.9, "probe_pixel_ap": 0.5, "test_image_auroc": 0.8, "test_pixel_ap": None}
    candidate["kinds"] = {"blob": {"image_auroc": 0.9, "pixel_ap": 0.5}}
    agreement = dict.fromkeys(("image_auroc", "pixel_ap"), dict.fromkeys(("spearman", "chosen", "best", "cost")))
    return {
        "summary": summary,
        "classes": classes,
        "baselines": {name: {"summary": summary, "classes": classes} for name in baselines},
        "probe": {name: {"candidates": {"nll": candidate}, "agreement": agreement} for name in flow},
    }


@pytest.fixture
def make_page(tmp_path):
    """Builds a page of the products bolt and nut; keywords replace what is judged or shown."""

    def make(bolt=None, nut=None, defect="scratch", baselines=("knn",), params="seed: 0\n", stolen=0) -> str:
        flow = {"bolt": bolt or judged(0), "nut": nut or judged(1, masks=False)}
        cases = {}
        for name, each in flow.items():
            paths = [save_image(tmp_path / name / f"{row}.png").as_posix() for row in range(len(each.labels))]
            index = pd.DataFrame({"path": paths, "defect": np.where(each.labels == 1, defect, "good")})
            settings = {"resize": "stretch", "sigma": 1.0, "size": SIZE}
            cases[name] = cases_html(each, index, list(flow), **settings)
        evaluation = evaluate(flow, sigma=1.0)
        row = {"product": "bolt", "image": "a.png", "thief": "nut", "distance_own": "2", "distance_thief": "1.5"}
        plots = {
            "histogram": rows(histogram_table(flow)),
            "matrix": rows(matrix_table(evaluation, ["t00", "t01"])),
            "confusion": rows(confusion_table(flow)),
            "stolen": [row] * stolen,
        }
        return page(numbers_of(flow, evaluation, baselines), plots, cases, params=params, commit="no git commit")

    return make


def rows(frame: pd.DataFrame) -> list[dict[str, str]]:
    """As csv.DictReader would read it."""
    return [
        {key: "" if pd.isna(value) else str(value) for key, value in row.items()} for row in frame.to_dict("records")
    ]


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
    assert text.count("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;$$") > 1
    assert text.count("<script") == 1
    assert "<td >&lt;b&gt;</td>" in table(["a", "b"], [["x", "<b>"]])


def test_undefined_metrics_tell_their_reason(make_page):
    text = make_page()
    assert '<abbr title="the class has no masks" tabindex="0">–</abbr>' in text
    assert "The product has no masks." in text


def test_too_few_held_out_images_leave_a_page_without_a_threshold(make_page):
    text = make_page(nut=judged(1, threshold=np.inf))
    assert "no alarm threshold can be warranted" in text
    assert '<abbr title="fewer than 4 held-out normal images" tabindex="0">–</abbr>' in text


@pytest.mark.parametrize("absent", ["normal", "defective"])
def test_a_kind_of_image_may_be_absent(make_page, absent):
    assert f"The test set has no {absent} images." in make_page(nut=judged(1, **{absent: 0}))


def test_no_baselines_no_section(make_page):
    assert '<section id="rivals">' in make_page()
    assert '<section id="rivals">' not in make_page(baselines=())


def test_long_lists_of_stolen_images_are_cut_and_say_so(make_page):
    text = make_page(stolen=60)
    assert "60 test images lie nearer" in text
    assert "The first 50 are listed." in text
    assert text.count('<td class="text">a.png</td>') == 50


def test_worst_cases_come_first():
    one = judged(0)
    assert worst(one, 1) == [4, 5, 6, 7, 8, 9]
    assert worst(one, 0) == [3, 2, 1, 0]
    ties = replace(one.own, p_value=np.full(12, 0.5))
    tied = Judged(**{**vars(one), "routed": [ties]})
    assert worst(tied, 1) == [4, 5, 6, 7, 8, 9]
    assert worst(tied, 0) == [3, 2, 1, 0]
    assert len(worst(one, 1)) == CASES


def test_cases_say_what_happened(make_page):
    text = make_page(bolt=judged(0, normal=6, defective=2))
    bolt = text[text.index('id="detail-0"') : text.index('id="detail-1"')]
    assert bolt.count("False alarm<") == 2  # p-values 1/5 and 1/6 of 0.2 at most
    assert bolt.count("No alarm, rightly<") == 4
    assert bolt.count("Alarm, rightly<") == 1
    assert bolt.count("No verdict: unknown product<") == 1
    assert "Of 6 normal images 2 raised an alarm, 4 did not, and 0 got no verdict" in bolt
    assert "Of 2 defective images 1 raised an alarm, 0 did not, and 1 got no verdict" in bolt


def test_the_page_counts_the_alarms_that_the_metrics_count(make_page):
    """A p-value that a rounding error lifts above the rate, as 3/10 is above 0.3, is an alarm in both."""
    one = judged(0, normal=6, defective=2)
    rounded = replace(one.own, p_value=np.repeat([RATE * (1 + 1e-12), 0.9], [6, 2]))
    product = Judged(**{**vars(one), "own": rounded, "routed": [rounded] * 2, "rejected": np.zeros(8, bool)})
    assert "Of 6 normal images 6 raised an alarm, 0 did not" in make_page(bolt=product)
    metrics = evaluate({"bolt": product, "nut": judged(1)}, sigma=1.0).classes["bolt"]
    assert metrics["false_alarm_rate"] == 1


def test_every_products_own_rate_is_told(make_page):
    assert "is at most 0.2, so that" in make_page()
    assert "is at most 0.2 for bolt, 0.05 for nut, so that" in make_page(nut=replace(judged(1), alarm_rate=0.05))


def test_a_loss_is_written_into_the_matrix(make_page):
    forgetful = judged(0)
    worse = replace(forgetful.own, comparable_score=-forgetful.own.comparable_score)
    lost = Judged(**{**vars(forgetful), "routed": [forgetful.own, worse], "chosen": np.tile([0, 1], (12, 1))})
    assert "0.000<small>−1.000</small>" in make_page(bolt=lost)


def test_contours_close_around_regions_and_none_is_drawn_without_one():
    mask = np.zeros((8, 8), bool)
    assert contour_svg(mask) == ""
    mask[2:5, :3] = True
    corners = re.findall(r"(-?[\d.]+) (-?[\d.]+)", contour_svg(mask).split('d="')[1])
    x, y = np.array(corners, float).T
    assert (x.min(), x.max(), y.min(), y.max()) == (0, 3, 2, 5)


def test_heat_is_common_to_a_product_and_survives_equal_scores():
    flat = Verdicts(np.ones((12, 4, 4)), np.ones(12), np.ones(12), np.ones(12))
    low, high = heat_scale(Judged(**{**vars(judged(0)), "routed": [flat]}))
    assert high > low
    assert heat_colours(np.array([-1.0, 0.0, 1.0, 2.0])).tolist() == [[0, 0, 4]] * 2 + [[252, 255, 164]] * 2


def test_a_threshold_of_zero_or_beyond_the_scores_is_drawn():
    row = {"kind": "normal", "score": "-2", "score_end": "-1", "images": "3", "threshold": "0"}
    assert 'x1="600.0"' in histogram_svg([row])


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


def test_page_works_in_a_browser(make_page, tmp_path):
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
