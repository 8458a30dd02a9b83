"""What a scorer makes of statistics, and its artifact."""

import numpy as np
import pytest
from samples import STATISTICS, TOP, TOP3, random_statistics, scorer_of

from moleflow.scoring.scorer import load_scorer, save_scorer
from moleflow.scoring.scores import SCORES, Score

SHIFTED = {**TOP, "alarm_for": "shifted"}


def fresh(rng, count=400, shift=0.0):
    return {"a": rng.normal(shift, 1, size=(1, count, 4, 4))}


def test_images_that_are_judged_as_if_left_out_calibrate_too():
    """Ten calibration images warrant no rate of 0.05; with the training images they do, if all statistics are known."""
    rng = np.random.default_rng(0)
    held, left_out = {"a": rng.normal(size=(10, 4, 4))}, {"a": rng.normal(size=(60, 4, 4))}
    few, many = scorer_of(Score.of("a"), held, settings=TOP), scorer_of(Score.of("a"), held, left_out=left_out)
    assert few.threshold(0.05) == few.pixel_threshold(0.05) == np.inf
    assert many.threshold(0.05) < np.inf
    assert len(many.unchanged_scores) == 70
    both = {"a": held["a"], "b": held["a"]}
    assert len(scorer_of(Score.of("a", "b"), both, left_out=left_out).unchanged_scores) == 10
    images = scorer_of(Score(image=("a",), map=("a", "b")), both, left_out=left_out)  # a map that is not known of them
    assert len(images.unchanged_scores) == 70
    assert images.threshold(0.05) < np.inf
    assert images.pixel_threshold(0.05) == np.inf
    assert images.pixel_threshold(0.1) < np.inf


@pytest.mark.parametrize("alarm_for", ["session", "shifted"])
def test_false_alarms_keep_the_promise(alarm_for):
    """For a session as the calibration images are; or for one that is as likely changed in either way as not."""
    rng = np.random.default_rng(0)
    rates, marks = [], []
    for _ in range(150):
        held, changed = {"a": rng.normal(size=(30, 4, 4))}, {"a": rng.normal(size=(30, 4, 4))}
        changed["a"][:15] += 0.7
        changed["a"][15:] += 1.5
        settings = {**TOP, "alarm_for": alarm_for, "map_sigma": 0.0}
        session = np.repeat([1, 2], 15)
        scorer = scorer_of(Score.of("a"), held, settings=settings, perturbed=changed, session=session)
        days = [fresh(rng, 60, shift)["a"] for shift in ((0,) if alarm_for == "session" else (0, 0.7, 1.5))]
        found = scorer({"a": np.concatenate(days, axis=1)})
        rates.append((found.p_value <= 0.1).mean())
        marks.append((scorer.peaks({"a": np.concatenate(days, axis=1)[0]}) > scorer.pixel_threshold(0.1)).mean())
    assert np.mean(rates) == pytest.approx(0.1, abs=0.02)
    assert np.mean(marks) == pytest.approx(0.1, abs=0.02)


def test_thresholds_say_what_p_values_say():
    rng = np.random.default_rng(0)
    held, changed = {"a": rng.normal(size=(30, 4, 4))}, {"a": rng.normal(1, 1, size=(16, 4, 4))}
    for settings in (TOP, SHIFTED):
        scorer = scorer_of(Score.of("a"), held, settings=settings, perturbed=changed)
        found = scorer(fresh(rng, shift=1.0))
        for rate in (0.05, 0.1, 0.3):
            assert ((found.image_score > scorer.threshold(rate)) == (found.p_value <= rate)).all()


def test_the_promise_for_other_days_needs_no_more_than_that_for_the_session_without_changed_images():
    held = {"a": np.random.default_rng(0).normal(size=(30, 4, 4))}
    one, other = (scorer_of(Score.of("a"), held, settings=settings) for settings in (TOP, SHIFTED))
    assert one.threshold(0.05) == other.threshold(0.05)


def test_marks_do_not_mind_what_lifts_a_whole_map():
    rng = np.random.default_rng(0)
    settings = {**TOP, "image_level": 25.0}
    scorer = scorer_of(Score.of("a"), {"a": rng.normal(size=(40, 4, 4))}, settings=settings)
    judged = fresh(rng, 50)
    found, lifted = scorer(judged), scorer({"a": judged["a"] + 3})
    np.testing.assert_allclose(
        lifted.patch_score - lifted.level[:, None, None], found.patch_score - found.level[:, None, None]
    )
    np.testing.assert_allclose(scorer.peaks({"a": judged["a"][0] + 3}), scorer.peaks({"a": judged["a"][0]}), atol=1e-5)


def test_each_fold_compares_with_its_own_images():
    rng = np.random.default_rng(0)
    held = {"a": rng.normal(size=(40, 4, 4)) + np.repeat([0, 5], 20)[:, None, None]}  # the second fold's scale is off
    scorer = scorer_of(Score.of("a"), held, settings=TOP, fold=np.repeat([0, 1], 20))
    both = np.concatenate([rng.normal(size=(1, 50, 4, 4)), rng.normal(5, 1, size=(1, 50, 4, 4))])
    assert (scorer({"a": both}).p_value <= 0.1).mean() < 0.2


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("folds", [1, 3])
def test_a_scorer_is_read_back_whole_and_its_bytes_repeat(tmp_path, score, folds):
    """All that judges a new image lies in its file: predictions and thresholds are the same, bit for bit."""
    rng = np.random.default_rng(0)
    made = scorer_of(
        SCORES[score], random_statistics(20, 1), settings={**TOP3, "alarm_for": "shifted"},
        perturbed=random_statistics(9, 2), fold=np.arange(20) % folds,
    )  # fmt: skip
    for name in ("one", "two"):
        save_scorer(tmp_path / name, made, {"alarm_rate": 0.1})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    read, attributes = load_scorer(tmp_path / "one")
    test = {name: rng.normal(size=(folds, 12, 4, 4)).astype(np.float32) for name in STATISTICS}
    assert attributes == {"alarm_rate": 0.1}
    for key, values in vars(made(test)).items():
        np.testing.assert_array_equal(getattr(read(test), key), values)
    assert read.threshold(0.1) == made.threshold(0.1)
    assert read.pixel_threshold(0.1) == made.pixel_threshold(0.1)
    np.testing.assert_array_equal(read.unchanged_scores, made.unchanged_scores)
