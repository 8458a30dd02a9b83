"""Scores: which statistics of a patch are used."""

from collections.abc import Collection

from moleflow.config.registry import choose

# A score is the statistics that it uses; several are fused. "memory" stands for the memory distance of each layer.
SCORES: dict[str, tuple[str, ...]] = {
    "nll": ("nll",),
    "latent": ("latent",),
    "log_det": ("neg_log_det",),
    "fused": ("nll", "neg_log_det"),
    "memory": ("memory",),
    "hybrid": ("nll", "latent", "memory"),
}


def statistics_of(score: str, found: Collection[str]) -> tuple[str, ...]:
    """The statistics that a score uses.

    Args:
        score: name in `SCORES`.
        found: names of the statistics there are.

    Returns:
        Their names; none if one of them is not among `found`.

    Raises:
        ChoiceError: the score is unknown.
    """
    names: list[str] = []
    for part in choose(SCORES, score, "score"):
        matching = sorted(name for name in found if name.rstrip("0123456789") == part)
        if not matching:
            return ()
        names += matching
    return tuple(names)
