"""What a scorer makes of statistics, and its artifact."""

import numpy as np
import pytest
from samples import TOP3

from moleflow.scoring.scorer import Scorer, load_scorer, save_scorer
from moleflow.scoring.scores import SCORES, statistics_of

TOP = {"aggregation": "max", "image_level": 0.0}


def with_perturbed(rng, count=30):
    """Statistic a minds harmless changes, b does not."""
    normal = {part: rng.normal(size=(count, 4, 4)) for part in "ab"} | {"fold": np.zeros(count, int)}
    changed = {"a": rng.normal(8, 3, size=(2 * count, 4, 4)), "b": rng.normal(size=(2 * count, 4, 4))}
    return normal, changed | {"source": np.arange(2 * count) % count}


def test_what_harmless_changes_make_large_counts_little():
    """Fused against perturbed images too, b decides."""
    normal, perturbed = with_perturbed(np.random.default_rng(0))
    judged = {part: np.zeros((1, 2, 4, 4)) for part in "ab"}
    judged["a"][0, 0] += 12  # as a harmless change does
    judged["b"][0, 1] += 3
    plain, warned = (Scorer.of(("a", "b"), TOP, normal, each) for each in ({}, perturbed))
    harmless, defect = plain(judged).image_score
    assert harmless > defect
    harmless, defect = warned(judged).image_score
    assert harmless < defect
    np.testing.assert_array_equal(plain(judged).patch_score, warned(judged).patch_score)
    assert plain.perturbed_scores.shape == (0,)
    assert warned.perturbed_scores.shape == (60,)
    assert np.median(warned.perturbed_scores) > np.median(warned.normal_scores)


def test_defects_are_found_although_changes_move_everything():
    """Held-out images lie below all perturbed ones; still none of them ties with another."""
    rng = np.random.default_rng(0)
    normal = {part: rng.normal(size=(30, 4, 4)) for part in "ab"} | {"fold": np.zeros(30, int)}
    perturbed = {part: normal[part] + 9 for part in "ab"} | {"source": np.arange(30)}
    scorer = Scorer.of(("a", "b"), TOP, normal, perturbed)
    fresh = {part: rng.normal(size=(1, 60, 4, 4)) for part in "ab"}
    for part in "ab":
        fresh[part][0, 30:, 2, 2] += 4
    score = scorer(fresh).image_score
    assert len(np.unique(score)) == 60
    assert (score[30:, None] > score[:30]).mean() > 0.9


def test_a_held_out_image_meets_nothing_that_was_made_of_it():
    normal, perturbed = with_perturbed(np.random.default_rng(0))
    scorer = Scorer.of(("a", "b"), TOP, normal, perturbed)
    for row in (0, 17):
        others, unrelated = np.arange(30) != row, perturbed["source"] != row
        fewer = Scorer.of(
            ("a", "b"),
            TOP,
            {part: values[others] for part, values in normal.items()},
            {part: values[unrelated] for part, values in perturbed.items()},
        )
        alone = {part: normal[part][None, row : row + 1] for part in "ab"}
        assert fewer(alone).image_score[0] == pytest.approx(scorer.normal_scores[row])
        copies = perturbed["source"] == row
        changed = {part: perturbed[part][None, copies] for part in "ab"}
        np.testing.assert_allclose(fewer(changed).image_score, scorer.perturbed_scores[copies])


def test_false_alarms_stay_at_or_below_the_rate_with_perturbed_images():
    rng = np.random.default_rng(0)
    below = []
    for _ in range(200):
        normal = {part: rng.normal(size=(19, 4, 4)) for part in "ab"} | {"fold": np.zeros(19, int)}
        sources = np.arange(38) % 19
        perturbed = {part: normal[part][sources] + rng.normal(0, 0.3, (38, 4, 4)) for part in "ab"} | {
            "source": sources
        }
        fresh = {part: rng.normal(size=(1, 40, 4, 4)) for part in "ab"}
        below.append((Scorer.of(("a", "b"), TOP, normal, perturbed)(fresh).p_value <= 0.1).mean())
    assert 0.07 < np.mean(below) < 0.105


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("folds", [1, 3])
def test_a_scorer_is_read_back_whole_and_its_bytes_repeat(tmp_path, score, folds):
    """All that judges a new image lies in its file: predictions and thresholds are the same, bit for bit."""
    rng = np.random.default_rng(0)
    names = ("nll", "latent", "neg_log_det", "memory0", "memory1")

    def statistics(*shape):
        return {name: rng.normal(size=(*shape, 4, 4)).astype(np.float32) for name in names}

    calibration, perturbed = statistics(20) | {"fold": np.arange(20) % folds}, statistics(9) | {"source": np.arange(9)}
    made = Scorer.of(statistics_of(score, names), TOP3, calibration, perturbed)
    for name in ("one", "two"):
        save_scorer(tmp_path / name, made, {"alarm_rate": 0.1})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    (read, attributes), test, painted = load_scorer(tmp_path / "one"), statistics(folds, 12), statistics(5)
    assert attributes == {"alarm_rate": 0.1}
    for key, values in vars(made(test)).items():
        np.testing.assert_array_equal(getattr(read(test), key), values)
    assert read.threshold(0.1) == made.threshold(0.1)
    np.testing.assert_array_equal(read.perturbed_scores, made.perturbed_scores)
    sources = np.arange(5)
    np.testing.assert_array_equal(read.left_out_scores(painted, sources), made.left_out_scores(painted, sources))
