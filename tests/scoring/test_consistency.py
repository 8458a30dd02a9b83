"""Local consistency: patches among patches of like scores keep more of their own."""

import numpy as np
import pytest
from samples import TOP, random_statistics, scorer_of

from moleflow.scoring.consistency import LEAST_WEIGHT, consistent
from moleflow.scoring.scorer import load_scorer, save_scorer
from moleflow.scoring.scores import SCORES

WINDOWS = [[3], [3, 5, 7]]


def slow_weights(scores, side):
    """The formula of docs/method.md, patch by patch."""
    reach, (height, width) = side // 2, scores.shape
    rows, columns = (
        [np.s_[max(0, place - reach) : place + reach + 1] for place in range(length)] for length in (height, width)
    )
    near = [[(row, column) for column in columns] for row in rows]
    mean = np.array([[scores[window].mean() for window in line] for line in near])
    offsets = (scores - mean) ** 2
    spread = np.array([[offsets[window].mean() for window in line] for line in near])
    sigmoid = 1 / (1 + np.exp(np.log(1 + np.e) * spread / (scores**2 + 1e-6)))
    return LEAST_WEIGHT + (1 - LEAST_WEIGHT) * sigmoid


@pytest.mark.parametrize("consistency", WINDOWS, ids=str)
def test_the_weights_are_those_of_the_formula_and_borders_are_no_disagreement(consistency):
    scores = np.random.default_rng(0).gamma(2, 1, (2, 9, 9))
    expected = [image * np.mean([slow_weights(image, side) for side in consistency], axis=0) for image in scores]
    np.testing.assert_allclose(consistent(scores, least=0.0, consistency=consistency), expected)
    flat = consistent(np.full((1, 9, 9), 2.0), least=0.0, consistency=consistency)
    np.testing.assert_allclose(flat, 2 * (1 + LEAST_WEIGHT) / 2)


@pytest.mark.parametrize("consistency", WINDOWS, ids=str)
def test_a_large_defect_counts_for_more_than_a_lone_patch_wherever_scores_begin(consistency):
    large, lone = np.zeros((2, 17, 17))
    large[2:15, 2:15] = 1
    lone[8, 8] = 1
    for start in (0.0, -7.0, 7.0):
        scores = np.stack([lone, large]) + start
        weighted = consistent(scores, least=start, consistency=consistency)
        np.testing.assert_allclose(weighted, consistent(scores - start, least=0.0, consistency=consistency))
        assert weighted[1, 8, 8] > weighted[0, 8, 8]


def test_patches_that_do_not_count_disagree_with_nobody():
    scores = np.random.default_rng(0).gamma(2, 1, (1, 5, 8))
    outside = scores.copy()
    outside[:, :, 5:] = np.nan
    found = consistent(outside, least=0.0, consistency=[3])
    np.testing.assert_allclose(found[:, :, :5], consistent(scores[:, :, :5], least=0.0, consistency=[3]))
    assert np.isnan(found[:, :, 5:]).all()


def test_a_scorer_judges_images_by_what_is_consistent_and_keeps_maps_and_itself(tmp_path):
    calibration, judged = random_statistics(30, 0), random_statistics(9, 1)
    folds = {name: values[None] for name, values in judged.items()}
    plain, weighing = (
        scorer_of(SCORES["combined"], calibration, settings=TOP | {"consistency": sides}) for sides in ([], [3])
    )
    assert not np.allclose(plain(folds).image_score, weighing(folds).image_score)
    assert np.array_equal(plain(folds).patch_score, weighing(folds).patch_score)
    assert weighing.least == pytest.approx(min(weighing_scores(plain, calibration)))
    save_scorer(tmp_path / "scorer", weighing, {})
    loaded, _ = load_scorer(tmp_path / "scorer")
    assert np.array_equal(loaded(folds).image_score, weighing(folds).image_score)


def weighing_scores(scorer, statistics):
    parts = [np.mean([scorer.references[part].z_scores(statistics[part]) for part in kind], 0) for kind in scorer.image]
    return np.sum(parts, axis=0).reshape(-1)
