"""A member of a registry is found by its name, and gets the settings that it asks for and nothing else."""

import pytest

from moleflow.config.registry import ChoiceError, call, choose, own_settings


class Plain:
    """Asks for nothing."""

    def __init__(self, *arguments):
        self.arguments = arguments


class Wanting:
    """Asks for two keys."""

    def __init__(self, *arguments, top_k: int, seed: int):
        self.arguments, self.top_k, self.seed = arguments, top_k, seed


def scaled(values, factor=2, *, top_k):
    return [factor * top_k * value for value in values]


MEMBERS = {"plain": Plain, "wanting": Wanting, "scaled": scaled}
SETTINGS = {"top_k": 3, "seed": 7, "lr": 0.1}


def test_a_member_is_chosen_by_its_name():
    assert {name: choose(MEMBERS, name, "method") for name in MEMBERS} == MEMBERS


def test_an_unknown_name_lists_the_choices():
    with pytest.raises(ChoiceError) as error:
        choose(MEMBERS, "median", "method")
    assert str(error.value) == "method: 'median' is unknown; choose one of plain, wanting, scaled"


def test_a_members_settings_are_its_keyword_only_arguments():
    assert own_settings(Plain, SETTINGS) == {}
    assert own_settings(Wanting, SETTINGS) == {"top_k": 3, "seed": 7}
    assert own_settings(scaled, SETTINGS | {"factor": 9, "values": 1}) == {"top_k": 3}


def test_a_member_is_made_with_its_settings_and_nothing_else():
    assert call(Plain, SETTINGS).arguments == ()
    assert call(Plain, SETTINGS, "x", 5).arguments == ("x", 5)
    made = call(Wanting, SETTINGS, "x")
    assert vars(made) == {"arguments": ("x",), "top_k": 3, "seed": 7}
    assert call(scaled, SETTINGS | {"factor": 9}, [1, 2]) == [6, 12]
    assert call(scaled, SETTINGS, [1, 2], 10) == [30, 60]


def test_a_missing_setting_is_an_error_of_ours():
    """Not one that a user could mend: the Config of the stage has to name the key."""
    with pytest.raises(KeyError, match="seed"):
        call(Wanting, {"top_k": 3})
    with pytest.raises(KeyError, match="top_k"):
        own_settings(scaled, {})
