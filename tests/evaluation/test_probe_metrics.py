"""The probe's account: which score would be chosen by synthetic defects."""

import numpy as np
import pytest
from samples import TOP, scorer_of

from moleflow.evaluation.probe_metrics import Probe, agreement, probe_metrics, probe_of
from moleflow.scoring.scores import SCORES


def by_nll(normal, perturbed=None):
    changed = None if perturbed is None else {"nll": perturbed}
    return scorer_of(SCORES["nll"], {"nll": normal}, settings=TOP, perturbed=changed)


def test_probe_tells_kinds_apart_and_needs_no_label():
    """Twelve normals; kind "loud" raises one patch, kind "silent" lowers it: a density blind to the quiet."""
    rng = np.random.default_rng(0)
    normal, judged = rng.normal(size=(12, 8, 8)), rng.normal(size=(8, 8, 8))
    judged[:4, 2, 2] += 9
    judged[4:, 2, 2] -= 9
    masks = np.zeros((8, 32, 32), bool)
    masks[:, 8:12, 8:12] = True
    probe = probe_of(["loud/0"] * 4 + ["silent/0"] * 4, masks, 16)
    assert probe.masks.shape == (8, 16, 16)
    found = probe_metrics(by_nll(normal), {"nll": judged}, probe, 0.0, held_out=1000)
    assert found["kinds"]["loud"]["image_auroc"] == 1
    assert found["kinds"]["silent"]["image_auroc"] < 0.7
    assert found["kinds"]["loud"]["pixel_ap"] > 0.9 > 0.1 > found["kinds"]["silent"]["pixel_ap"]
    mean = np.mean([each["image_auroc"] for each in found["kinds"].values()])
    assert found["probe_image_auroc"] == pytest.approx(mean)


def test_defects_have_to_be_told_from_changed_normals_too():
    """Defects raise a patch as harmless changes do; against unchanged normals alone they would all be found."""
    rng = np.random.default_rng(0)
    normal, changed = rng.normal(size=(12, 8, 8)), rng.normal(size=(12, 8, 8))
    changed[:, 5, 5] += 9
    judged = rng.normal(size=(8, 8, 8))
    judged[:, 2, 2] += 9
    probe = Probe(np.array(["loud"] * 8), np.zeros((8, 16, 16), bool))
    found = probe_metrics(by_nll(normal, changed), {"nll": judged}, probe, 0.0, held_out=1000)
    assert 0.6 < found["probe_image_auroc"] < 0.9


def test_order_of_probe_images_changes_nothing():
    rng = np.random.default_rng(0)
    judged, kinds = rng.normal(size=(6, 4, 4)), np.array(["a", "b"] * 3)
    masks, order = rng.random((6, 8, 8)) < 0.2, rng.permutation(6)
    scorer = by_nll(rng.normal(size=(9, 4, 4)))
    straight = probe_metrics(scorer, {"nll": judged}, Probe(kinds, masks), 1.0, held_out=1000)
    permuted = probe_metrics(scorer, {"nll": judged[order]}, Probe(kinds[order], masks[order]), 1.0, held_out=1000)
    assert permuted["probe_pixel_ap"] == pytest.approx(straight["probe_pixel_ap"])
    assert permuted["probe_image_auroc"] == pytest.approx(straight["probe_image_auroc"])


def candidate(probe, test):
    return {"probe_image_auroc": probe, "test_image_auroc": test, "probe_pixel_ap": None, "test_pixel_ap": None}


def test_agreement_by_hand():
    candidates = {"nll": candidate(0.9, 0.8), "latent": candidate(0.8, 0.95), "knn": candidate(0.7, 0.6)}
    found = agreement(candidates)
    assert found["image_auroc"] == pytest.approx(
        {"spearman": 0.5, "chosen": "nll", "best": "latent", "cost": 0.15}, abs=1e-9
    )
    assert found["pixel_ap"] == {"spearman": None, "chosen": None, "best": None, "cost": None}
