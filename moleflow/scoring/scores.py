"""Scores: which statistics of a patch are used."""

from collections.abc import Collection
from dataclasses import dataclass

from moleflow.config.errors import MoleflowError


class ScoreError(MoleflowError):
    """A score reads a statistic that there is none of."""


Parts = tuple[tuple[str, ...], ...]
"""Names of statistics by kind: the memory distances of all layers are one kind."""


@dataclass(frozen=True)
class Score:
    """The kinds of statistic that judge an image, and those that draw its map.

    Attributes:
        image: kinds whose sum is an image's score.
        map: kinds whose surprises are added up in its anomaly map.
    """

    image: tuple[str, ...]
    map: tuple[str, ...]

    @classmethod
    def of(cls, *kinds: str) -> "Score":
        """The same statistics for both.

        Args:
            *kinds: of statistic.

        Returns:
            The score.
        """
        return cls(kinds, kinds)

    @property
    def kinds(self) -> set[str]:
        """All kinds that it uses."""
        return {*self.image, *self.map}

    @property
    def leaves_out(self) -> bool:
        """Whether training images can be judged as if left out, so that all normal images are compared with."""
        return set(self.image) <= LEFT_OUT


# "memory" stands for the memory distance of every layer.
SCORES: dict[str, Score] = {
    "nll": Score.of("nll"),
    "latent": Score.of("latent"),
    "log_det": Score.of("neg_log_det"),
    "fused": Score.of("nll", "neg_log_det"),
    "memory": Score.of("memory"),
    "gaussian": Score.of("gaussian"),
    "relative": Score.of("relative"),
    "distances": Score(image=("memory", "gaussian"), map=("memory", "latent")),
    "combined": Score(image=("memory", "gaussian", "relative"), map=("memory", "latent")),
    "combined_relative": Score(image=("memory", "gaussians", "relative"), map=("memory", "latent")),
    "memory_relative": Score(image=("memory", "relative"), map=("memory", "latent")),
    "hybrid": Score.of("nll", "latent", "memory"),
    "dual": Score.of("nll", "nll_free"),
}
MEMBERS = {
    "gaussians": ("gaussian", "relative_gaussian")
}  # kinds of more than one name, which are averaged as layers are
BY_PROBE = "probe"  # `score: probe`: each product's own probe chooses among these, the first unless another is better
CANDIDATES = ("combined_relative", "memory_relative", "distances", "memory")
NEEDS = {  # keys that a kind needs, see `way_out`
    "memory": "memory_size",
    "gaussian": "gaussian_rank",
    "gaussians": "gaussian_rank",
    "relative": "memory_size",
    "nll_free": "branches",
}
LEFT_OUT = {"memory", "gaussian"}  # kinds that are known of training images as if these had been left out


def name_of(score: Score) -> str:
    """The name of a score.

    Args:
        score: the score.

    Returns:
        Its name in `SCORES`; `BY_PROBE` for another.
    """
    return next((name for name, each in SCORES.items() if each == score), BY_PROBE)


def judging(score: Score) -> str:
    """What a score judges images by, whatever draws its map.

    Args:
        score: the score.

    Returns:
        The name of the first score in `SCORES` that judges images alike, such as distances; its kinds if there is none.
    """
    alike = (name for name, each in SCORES.items() if each.image == score.image)
    return next(alike, ", ".join(score.image))


def needed(score: Score) -> list[str]:
    """Keys of params.yaml that a score needs, which may be 0 or none.

    Args:
        score: the score.

    Returns:
        The keys.
    """
    return sorted({NEEDS[kind] for kind in score.kinds & NEEDS.keys()})


def way_out(key: str) -> str:
    """What to do about a key that leaves out what a score reads.

    Args:
        key: one of `needed`.

    Returns:
        What to set it to, in words.
    """
    return "set branches to dual" if key == "branches" else f"set {key} above 0"


def statistics_of(kinds: tuple[str, ...], found: Collection[str]) -> Parts:
    """The statistics of some kinds.

    Args:
        kinds: of statistic.
        found: names of the statistics there are.

    Returns:
        Their names by kind.

    Raises:
        ScoreError: there is no statistic of one of the kinds.
    """
    members = {kind: MEMBERS.get(kind, (kind,)) for kind in kinds}
    parts = tuple(tuple(sorted(name for name in found if _stem(name) in members[kind])) for kind in kinds)
    for kind, names in zip(kinds, parts, strict=True):
        if not set(members[kind]) <= {_stem(name) for name in names}:
            raise ScoreError(f"there is no {kind} statistic to score by; {way_out(NEEDS.get(kind, kind))}")
    return parts


def kind_of(names: Collection[str]) -> str:
    """The kind that statistics make up.

    Args:
        names: of the statistics.

    Returns:
        The kind.
    """
    stems = {_stem(name) for name in names}
    return next((kind for kind, members in MEMBERS.items() if stems == set(members)), min(stems))


def _stem(name: str) -> str:
    return name.rstrip("0123456789")
