"""Experiments that DVC does not find: one sentence."""

from pathlib import Path

import pytest

from moleflow.report.experiments import ExperimentsError, read_experiments

ROOT = Path(__file__).parents[2]


def test_a_commit_that_is_none_is_named(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(ExperimentsError, match=r"no such commit: .*[Uu]nknown.*; name a commit, branch or tag"):
        read_experiments("no such commit")


def test_a_folder_that_is_no_repository_is_said_to_be_none(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExperimentsError, match=r"HEAD: .*repository"):
        read_experiments("HEAD")
