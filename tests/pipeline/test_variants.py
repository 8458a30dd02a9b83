"""The lab diary's routers, scores and views: each is set by params.yaml, changes what it should, and no more."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from projects import ROOT, Project, save
from samples import CPU
from variants import JUDGED, LEARNING, ROUTING, STATISTICS

from moleflow.evaluation.records import Records
from moleflow.features.prototype import load_prototype
from moleflow.files.feature_store import PAINTED, open_split
from moleflow.files.order import read_order
from moleflow.files.paths import Paths
from moleflow.files.record_file import read_record
from moleflow.images.index_table import read_index
from moleflow.inspector import Inspector
from moleflow.scoring.scorer import load_scorer


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Three small products; bolt's test has pictures between bolt and washer, of which routers think differently."""
    made = Project.of_small_products(tmp_path_factory.mktemp("variants") / "project")
    raw = made.root / "data/raw/small"
    bolt, washer = (
        np.asarray(Image.open(raw / f"{name}/test/good/0.png")).astype(float) for name in ("bolt", "washer")
    )
    for percent in range(30, 70):  # routers change their minds at percents that differ by a few, and by the processor
        mixed = bolt + (washer - bolt) * percent / 100
        save(raw / f"bolt/test/good/washer{percent}.png", mixed.astype(np.uint8))
    made.run()
    return made


@pytest.fixture
def varied(project, tmp_path):
    """A copy to change; what stages wrote is kept whole, so links serve."""
    yield (copied := project.copy(tmp_path / "copy"))
    shutil.rmtree(copied.root)


def seen(project):
    """What the variants may change, by name."""
    paths = Paths(project.root)
    order = read_order(paths.order)
    records = Records(paths, order, size=project.params()["eval_size"])
    scores = {product: read_record(paths.scores.of(product)) for product in order.products}
    outcomes = {product: records.flow(product) for product in order.products}
    return {
        "distances": [records.routes(product)["distance"] for product in order.products],
        "routes": [outcome.chosen for outcome in outcomes.values()],
        "image scores": [record.arrays["test/image_score"] for record in scores.values()],
        "patch scores": [record.arrays["test/patch_score"] for record in scores.values()],
        "asked": [
            group.get("row", np.empty(0))
            for misrouted in (read_record(paths.misrouted, product) for product in order.products)
            for group in (misrouted.group(other) for other in order.products)
        ],
        "others' statistics": [
            group.get("nll", np.empty(0))
            for misrouted in (read_record(paths.misrouted, product) for product in order.products)
            for group in (misrouted.group(other) for other in order.products)
        ],
        "pixel thresholds": [np.array(record.attributes["pixel_threshold"]) for record in scores.values()],
    }


def differing(before, after):
    return {
        name
        for name, arrays in before.items()
        if not all(np.array_equal(one, other) for one, other in zip(arrays, after[name], strict=True))
    }


@pytest.mark.parametrize("name", [name for name, variant in JUDGED.items() if variant.results])
def test_a_variant_changes_what_it_should_and_no_more(name, project, varied):
    variant = JUDGED[name]
    varied.edit(**variant.changes)
    varied.run("check", *variant.stages, "evaluate", "report")
    found = differing(seen(project), seen(varied))
    assert variant.results <= found
    if variant.stages == ROUTING:
        assert found <= {"distances", "routes", "asked", "others' statistics"}
    elif variant.stages == LEARNING:  # a second branch leaves the first as it is, and what its experts say
        assert found.isdisjoint({"distances", "routes", "asked", "others' statistics"})
    else:
        assert found.isdisjoint({"distances", "routes", "asked"})
        assert "statistics" in variant.stages or found.isdisjoint({"patch scores", "others' statistics"})


def test_a_margin_learns_from_painted_training_images(project, varied):
    paths, params = Paths(varied.root), varied.params()
    varied.edit(margin_weight=1.0, painted_images=3, probe_defects=["blob", "scar"])
    varied.run("check", "probe", "prototype", "base", "train")
    learned, probed = (open_split(paths.probes.of("bolt"), split) for split in (PAINTED, "probe"))
    assert learned.images == ["blob/0", "blob/1", "blob/2", "scar/3", "scar/4", "scar/5"]
    assert not any((one == other).all() for one in learned.maps()[0] for other in probed.maps()[0])
    for product, line in params["classes"].items():
        path = paths.prototype_of(product, line["task"])
        before, now = (
            load_prototype(root / path.relative_to(varied.root), CPU) for root in (project.root, varied.root)
        )
        assert before.matrix.equal(now.matrix)
        assert before.features_digest != now.features_digest
    for curve in paths.curves.rglob("*.csv"):
        assert "margin" in pd.read_csv(curve)


@pytest.mark.parametrize("name", ["7.1 two_stage", "7.2 regional", "8.1 dual", "8.6 orientations"])
def test_the_inspector_routes_and_judges_as_the_pipeline_does(name, varied):
    """From the artifacts alone: params.yaml says something else by then."""
    varied.edit(**JUDGED[name].changes)
    varied.run("check", *JUDGED[name].stages)
    shutil.copy(ROOT / "params.yaml", varied.root / "params.yaml")
    paths = Paths(varied.root)
    order = read_order(paths.order)
    records, inspector = Records(paths, order, size=32), Inspector.load(varied.root)
    sent_elsewhere = 0
    for number, product in enumerate(order.products):
        table, outcome = read_index(paths.index.of(product)), records.flow(product)
        found = inspector.inspect([varied.root / path for path in table.path[table.split == "test"]])
        chosen = [list(order.products)[each] for each in outcome.chosen[:, -1]]
        assert [each.nearest for each in found] == chosen
        assert {each.product for each in found} <= {"unknown", *order.products}
        expected = outcome.routed[-1]
        np.testing.assert_allclose([each.image_score for each in found], expected.image_score, rtol=1e-4)
        sent_elsewhere += (outcome.chosen[:, -1] != number).sum()
    assert sent_elsewhere


def test_a_recalibration_judges_in_the_orientations_of_the_statistics(varied):
    """The calibration images themselves, given as those of another day, have the scores that they had."""
    varied.edit(**JUDGED["8.6 orientations"].changes)
    varied.run("check", *STATISTICS)
    paths, folder = Paths(varied.root), varied.root / "another day"
    folder.mkdir()
    table = read_index(paths.index.of("nut"))
    for number, path in enumerate(table.path[table.split == "calibration"]):
        shutil.copy(varied.root / path, folder / f"{number:03}.png")
    varied.edit(recalibrations={"nut": str(folder)}, alarm_rate=0.5)
    varied.run("check", "score", "recalibrate")
    first, again = (load_scorer(path)[0].unchanged_scores for path in (paths.scorers.of("nut"), paths.scorer_of("nut")))
    np.testing.assert_allclose(again, first[: len(again)], rtol=1e-3, atol=1e-3)  # training images come after them
