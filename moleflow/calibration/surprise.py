"""How surprising a value is among normal ones, on a scale without an upper end and without ties."""

from dataclasses import dataclass

import numpy as np

QUANTILE, SHAPE = 0.9, 0.5  # where the tail begins, and its ξ
KEPT = 4096  # of more values evenly many, so that a reference of all patches stays small


@dataclass(frozen=True)
class Reference:
    """Normal values, in the form in which others are compared with them.

    Attributes:
        ordered: the values, ascending, or `KEPT` of them at evenly spaced ranks, (n,).
        start: their 90 % quantile, where the tail begins.
        spread: scale of the tail.
        mean, deviation: their mean and standard deviation.
    """

    ordered: np.ndarray
    start: float
    spread: float
    mean: float
    deviation: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Reference":
        """Sorts normal values and fits their tail.

        Args:
            values: of normal images, any shape.

        Returns:
            The reference.
        """
        ordered = np.sort(values, axis=None).astype(np.float64)
        start = float(np.quantile(ordered, QUANTILE))
        excess = ordered[ordered > start] - start
        spread = (1 - SHAPE) * excess.mean() if len(excess) else 0.0
        spread = max(spread, 1e-6 * (1 + abs(start)))  # normals without any variation
        if len(ordered) > KEPT:
            kept = ordered[((np.arange(KEPT) + 0.5) / KEPT * len(ordered)).astype(np.int64)]
        else:
            kept = ordered
        return cls(kept, start, float(spread), float(ordered.mean()), float(ordered.std()))

    @property
    def ranks(self) -> np.ndarray:
        """Share of the values up to each of `ordered`, (n,)."""
        return (np.arange(len(self.ordered)) + 0.5) / len(self.ordered)

    def z_scores(self, values: np.ndarray) -> np.ndarray:
        """Values in standard deviations of the normal ones from their mean.

        Args:
            values: any shape.

        Returns:
            Shape of `values`.
        """
        return (values - self.mean) / (self.deviation or 1.0)

    def surprise(self, values: np.ndarray) -> np.ndarray:
        """−log p of values against the normal ones, with a heavy tail beyond what was seen.

        Up to the reference's 90 % quantile u, p is the interpolated empirical share above the value;
        beyond it a generalized Pareto tail of shape ξ = ½ with the mean excess of the reference:
        p = 0.1·(1 + ξ(v − u)/β)^(−1/ξ), β = (1 − ξ)·mean(excess). A heavy tail keeps one huge statistic
        from drowning the other when they are summed, and leaves no ties.

        Args:
            values: values to compare with the normal ones, any shape.

        Returns:
            −log p, shape of `values`, in nats.

        Source: Pickands, "Statistical inference using extreme order statistics", 1975; docs/method.md, Surprise.
        """
        body = np.maximum(1 - np.interp(values, self.ordered, self.ranks), 1 - QUANTILE)
        tail = (1 - QUANTILE) * (1 + SHAPE * np.maximum(values - self.start, 0) / self.spread) ** (-1 / SHAPE)
        result: np.ndarray = -np.log(np.where(values > self.start, tail, body))
        return result
