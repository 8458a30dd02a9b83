"""Unknown products: what is rejected, and what is not."""

import numpy as np

from moleflow.evaluation.open_set import Located, open_set_metrics


def located(own, count=10, labels=None):
    """Two products: near to prototype `own`, far from the other."""
    p, strangeness = np.full((count, 2), 0.001), np.full((count, 2), 9.0)
    p[:, own], strangeness[:, own] = 0.5, np.linspace(0, 1, count)
    return Located(np.zeros(count, int) if labels is None else labels, p, strangeness)


def test_products_far_apart_are_known_and_missed_when_left_out():
    metrics = open_set_metrics({"bolt": located(0), "nut": located(1)}, 0.01)
    for each in metrics.values():
        assert each["rejected_normal"] == 0
        assert each["rejected_defective"] is None
        assert each["unknown_rejected"] == 1
        assert each["open_set_auroc"] == 1


def test_rejected_shares_are_counted_by_label():
    bolt = located(0, labels=np.array([0] * 5 + [1] * 5))
    bolt.p_value[[0, 6, 7]] = 0.001
    metrics = open_set_metrics({"bolt": bolt, "nut": located(1)}, 0.01)["bolt"]
    assert (metrics["rejected_normal"], metrics["rejected_defective"]) == (0.2, 0.4)
    assert open_set_metrics({"bolt": bolt, "nut": located(1)}, 0.0)["bolt"]["rejected_normal"] == 0


def test_the_only_product_has_no_other_to_be_told_from():
    alone = Located(np.zeros(3, int), np.ones((3, 1)), np.ones((3, 1)))
    metrics = open_set_metrics({"bolt": alone}, 0.01)["bolt"]
    assert metrics["open_set_auroc"] is metrics["unknown_rejected"] is None


def test_look_alikes_are_not_told_apart():
    same = {name: Located(np.zeros(4, int), np.full((4, 2), 0.5), np.ones((4, 2))) for name in ("bolt", "nut")}
    assert open_set_metrics(same, 0.01)["bolt"]["unknown_rejected"] == 0
