"""Regions of interest: what lies outside counts for nothing, in calibration and in images that are judged."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from samples import TOP3, normal_record

from moleflow.scoring.aggregation import AGGREGATIONS
from moleflow.scoring.regions import RegionError, read_region
from moleflow.scoring.scorer import Scorer, load_scorer, save_scorer
from moleflow.scoring.scores import SCORES

REGION = np.zeros((4, 4), bool)
REGION[:, :3] = True
SETTINGS = {**TOP3, "image_level": 25.0, "top_percent": 20.0, "percentile": 90.0, "eval_size": 16, "map_sigma": 0.0}


def outside_changed(made, shift=50.0):
    """The same statistics but for the patches outside."""
    arrays = {
        name: np.where(REGION, values, values + shift) if values.ndim == 3 else values
        for name, values in made.arrays.items()
    }
    return replace(made, arrays=arrays)


def painted(made):
    return {name: values[None] for name, values in made.group("probe").items()}


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("score", ["combined", "memory"])
def test_what_lies_outside_changes_nothing(aggregation, score):
    settings = {**SETTINGS, "aggregation": aggregation}
    scorers, found = [], []
    for made in (normal_record(()), outside_changed(normal_record(()))):
        scorers.append(Scorer.of(SCORES[score], settings, made, region=REGION))
        found.append(scorers[-1](painted(made)))
    for name, values in vars(found[0]).items():
        np.testing.assert_array_equal(values, getattr(found[1], name))
    assert scorers[0].threshold(0.05) == scorers[1].threshold(0.05)
    assert scorers[0].pixel_threshold(0.05) == scorers[1].pixel_threshold(0.05)
    both = (normal_record(()), outside_changed(normal_record(())))
    whole = [Scorer.of(SCORES[score], settings, made)(painted(made)) for made in both]
    assert not np.array_equal(whole[0].image_score, whole[1].image_score)


def test_what_lies_inside_changes_scores():
    made = normal_record(())
    scorer, changed = Scorer.of(SCORES["combined"], SETTINGS, made, region=REGION), painted(made)
    before = scorer(changed).image_score
    for values in changed.values():
        values[..., 1, 1] += 50.0
    assert (scorer(changed).image_score > before).all()


def test_a_region_of_everything_is_none():
    made = normal_record(())
    whole, all_inside = (
        Scorer.of(SCORES["combined"], SETTINGS, made, region=each) for each in (None, np.ones((4, 4), bool))
    )
    for name, values in vars(whole(painted(made))).items():
        np.testing.assert_array_equal(values, getattr(all_inside(painted(made)), name))


def test_maps_show_nothing_outside():
    scorer = Scorer.of(SCORES["combined"], SETTINGS, outside_changed(normal_record(())), region=REGION)
    scores = scorer(painted(outside_changed(normal_record(())))).patch_score
    assert (scores[:, ~REGION] <= scores[:, REGION].min(1)[:, None]).all()


def test_it_is_kept_with_the_scorer(tmp_path):
    scorer = Scorer.of(SCORES["memory"], SETTINGS, normal_record(()), region=REGION)
    save_scorer(tmp_path / "a.safetensors", scorer, {})
    np.testing.assert_array_equal(load_scorer(tmp_path / "a.safetensors")[0].region, REGION)


def test_it_is_drawn_over_an_image_of_any_size(tmp_path):
    drawn = np.zeros((20, 40), np.uint8)
    drawn[:, :30] = 200
    Image.fromarray(drawn).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_region(tmp_path / "a.png", 4, "stretch"), REGION)
    np.testing.assert_array_equal(read_region(tmp_path / "a.png", 2, "crop"), np.ones((2, 2), bool))
    assert read_region(tmp_path / "none.png", 4, "stretch") is None
    Image.new("L", (40, 20), 0).save(tmp_path / "a.png")
    with pytest.raises(RegionError, match=r"a\.png: no patch of 4×4 lies inside"):
        read_region(tmp_path / "a.png", 4, "stretch")
