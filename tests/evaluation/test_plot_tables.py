"""The tables behind the plots."""

import numpy as np

from moleflow.evaluation.plot_tables import confusion_table, matrix_table, misrouted_table
from moleflow.evaluation.results import evaluate


def test_tables_behind_the_plots_name_what_is_misrouted(bolt, nut):
    products = {"bolt": bolt, "nut": nut}
    distances = {"bolt": np.array([[1.0, 2.0]] * 3 + [[3.0, 2.0]] * 2 + [[1.0, 2.0]]), "nut": np.ones((6, 2))}
    table = misrouted_table({name: [f"{row}.png" for row in range(6)] for name in products}, products, distances)
    assert table.to_dict("records") == [
        {"product": "bolt", "image": f"{row}.png", "routed": "nut", "distance_own": 3.0, "distance_routed": 2.0}
        for row in (3, 4)
    ]
    counts = confusion_table(products).value_counts().to_dict()
    assert counts == {("bolt", "bolt"): 4, ("bolt", "nut"): 2, ("nut", "nut"): 6}
    matrix = matrix_table(evaluate(products, sigma=1.0), ["t0", "t1"])
    assert matrix[["metric", "after", "product"]].values.tolist() == [
        ["image_auroc", "t0", "bolt"],
        ["image_auroc", "t1", "bolt"],
        ["image_auroc", "t1", "nut"],
    ]
