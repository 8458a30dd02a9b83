"""How surprising a value is among normal ones, on a scale without an upper end and without ties."""

import numpy as np


def surprise(reference: np.ndarray, values: np.ndarray) -> np.ndarray:
    """−log p of values against normal ones, with a heavy tail beyond what was seen.

    Up to the reference's 90 % quantile u, p is the interpolated empirical share above the value;
    beyond it a generalized Pareto tail of shape ξ = ½ with the mean excess of the reference:
    p = 0.1·(1 + ξ(v − u)/β)^(−1/ξ), β = (1 − ξ)·mean(excess). A heavy tail keeps one huge statistic
    from drowning the other when they are summed, and leaves no ties.

    Args:
        reference: values of normal images, any shape.
        values: values to compare with them, any shape.

    Returns:
        −log p, shape of `values`, in nats.

    Source: Pickands, "Statistical inference using extreme order statistics", 1975; docs/method.md, Surprise.
    """
    quantile, shape = 0.9, 0.5
    ordered = np.sort(reference, axis=None).astype(np.float64)
    start = np.quantile(ordered, quantile)
    excess = ordered[ordered > start] - start
    spread = (1 - shape) * excess.mean() if len(excess) else 0.0
    spread = max(spread, 1e-6 * (1 + abs(start)))  # normals without any variation
    ranks = (np.arange(len(ordered)) + 0.5) / len(ordered)
    body = np.maximum(1 - np.interp(values, ordered, ranks), 1 - quantile)
    tail = (1 - quantile) * (1 + shape * np.maximum(values - start, 0) / spread) ** (-1 / shape)
    result: np.ndarray = -np.log(np.where(values > start, tail, body))
    return result
