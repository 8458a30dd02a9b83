"""The tables behind the plots."""

import numpy as np
from samples import evaluate

from moleflow.evaluation.plot_tables import joined, matrix_table, plot_tables


def test_tables_behind_the_plots_name_what_is_misrouted(bolt, nut):
    products = {"bolt": bolt, "nut": nut}
    distances = {"bolt": np.array([[1.0, 2.0]] * 3 + [[3.0, 2.0]] * 2 + [[1.0, 2.0]]), "nut": np.ones((6, 2))}
    images = [f"{row}.png" for row in range(6)]
    tables = joined(
        [
            plot_tables(name, each, list(products), images=images, distances=distances[name])
            for name, each in products.items()
        ]
    )
    assert set(tables) == {"roc", "pr", "histogram", "confusion", "misrouted"}
    assert tables["misrouted"].to_dict("records") == [
        {"product": "bolt", "image": f"{row}.png", "routed": "nut", "distance_own": 3.0, "distance_routed": 2.0}
        for row in (3, 4)
    ]
    counts = tables["confusion"].value_counts().to_dict()
    assert counts == {("bolt", "bolt"): 4, ("bolt", "nut"): 2, ("nut", "nut"): 6}
    matrix = matrix_table(evaluate(products), ["t0", "t1"])
    assert matrix[["metric", "after", "product"]].values.tolist() == [
        ["image_auroc", "t0", "bolt"],
        ["image_auroc", "t1", "bolt"],
        ["image_auroc", "t1", "nut"],
    ]
