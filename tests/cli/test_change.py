"""Changes of what params.yaml lists: what fails leaves all as it was, and says what went wrong first."""

import json
import os
import subprocess
import sys
from unittest.mock import Mock

import pytest
from dvc.repo import Repo
from projects import Project

from moleflow.cli import change
from moleflow.cli.plan import PlanError
from moleflow.config.params import ParamsError
from moleflow.files.params_file import write_params
from moleflow.files.paths import Paths


@pytest.fixture
def project(tmp_path):
    made = Project.of_small_products(tmp_path)
    made.run("check")
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    return made


@pytest.fixture
def ran(monkeypatch):
    """The DVC commands that would have run; each of them fails."""
    commands = []
    monkeypatch.setattr(change, "_dvc", lambda *arguments: commands.append(arguments) or 1)
    return commands


@pytest.fixture
def restored(project):
    """Fails unless all files are as before."""
    before = {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()}
    yield
    assert {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()} == before


def test_a_name_or_folder_that_is_none_is_refused_before_anything_runs(project, ran, restored, capsys):
    with pytest.raises(ParamsError, match="lists no product screw"):
        project.moleflow("recalibrate", "screw", "data/raw/small/bolt/test/good")
    with pytest.raises(change.ChangeError, match="is the repository itself; name the folder that holds the images"):
        project.moleflow("recalibrate", "bolt", "")
    with pytest.raises(ParamsError, match="data/raw/none is no folder; name one with normal images of bolt"):
        project.moleflow("recalibrate", "bolt", "data/raw/none")
    assert ran == []
    assert "undone" not in capsys.readouterr().err


def test_outputs_of_stages_are_restored_only_if_stages_were_started(project, ran, restored, capsys):
    paths = Paths(project.root)
    with pytest.raises(RuntimeError, match="refused"), change.all_or_nothing(paths):
        write_params({"seed": 9}, paths.params)
        (paths.order).write_text("changed")
        raise RuntimeError("refused")
    assert ran == []
    assert capsys.readouterr().err == ""
    with pytest.raises(change.ChangeError, match="`dvc repro` failed"):
        project.moleflow("recalibrate", "bolt", "data/raw/small/bolt/test/good")
    assert [command[0] for command in ran] == ["repro", "checkout"]
    assert "undone: " in capsys.readouterr().err


def test_the_first_error_is_told_where_there_are_no_data(project, ran):
    paths = Paths(project.root)
    (project.root / "data").rename(project.root / "elsewhere")
    with pytest.raises(change.ChangeError, match="`dvc repro` failed"), change.all_or_nothing(paths) as changing:
        changing.repro()


def test_what_cannot_be_put_back_is_kept_and_named(project, ran, monkeypatch, tmp_path_factory, capsys):
    paths, text = Paths(project.root), (project.root / "params.yaml").read_text()
    folder = tmp_path_factory.mktemp("saved")
    monkeypatch.setattr(change, "mkdtemp", lambda **_: str(folder))

    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(RuntimeError, match="first"), change.all_or_nothing(paths):
        write_params({"seed": 9}, paths.params)
        monkeypatch.setattr(change, "_copy", full)
        raise RuntimeError("first")
    assert (folder / "params.yaml").read_text() == text
    assert "seed: 9" in paths.params.read_text()  # half of a file would be worse
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert str(folder) in said


@pytest.fixture
def repository(project):
    Repo.init(str(project.root), no_scm=True).close()
    return project


def test_a_second_change_is_refused_while_another_is_under_way(repository, ran):
    paths = Paths(repository.root)
    before = paths.params.read_bytes()
    with change.all_or_nothing(paths):
        for command in (("recalibrate", "bolt", "data/raw/small/bolt/test/good"), ("preset", "fast")):
            with pytest.raises(change.ChangeError, match="another change of products is under way"):
                repository.moleflow(*command)
        assert paths.params.read_bytes() == before
    assert ran == []


@pytest.mark.parametrize("kind", ["read", "write"])
def test_no_change_begins_while_a_stage_runs(repository, ran, kind):
    rwlock = repository.root / ".dvc/tmp/rwlock"

    def note(pid):
        holder = {"pid": pid, "cmd": "dvc repro"}
        rwlock.write_text(json.dumps({"read": {}, "write": {}, kind: {"data": [holder] if kind == "read" else holder}}))

    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as running:  # until its input ends, with the block
        note(running.pid)
        with pytest.raises(change.ChangeError, match=rf"DVC is at work here, process {running.pid}: dvc repro"):
            repository.moleflow("recalibrate", "bolt", "data/raw/small/bolt/test/good")
    for noted in (running.pid, os.getpid()):  # one that was killed, whose number may be used again
        note(noted)
        with change.all_or_nothing(Paths(repository.root)):
            pass
    rwlock.write_text("[]")
    with change.all_or_nothing(Paths(repository.root)):
        pass
    assert ran == []


def test_no_change_begins_while_dvc_is_between_two_stages(repository, ran):
    code = "from dvc.repo import Repo; repo = Repo('.'); repo.lock.lock(); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=repository.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with pytest.raises(change.ChangeError, match="DVC is at work here; run this again once it has ended"):
            repository.moleflow("recalibrate", "bolt", "data/raw/small/bolt/test/good")
        other.communicate(b"\n")
    assert ran == []


@pytest.mark.parametrize(
    "command", [("scenario", "mvtec", "1-1", "--root", "/d"), ("preset", "fast")], ids=["scenario", "preset"]
)
@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_params_stay_as_they_were_where_nothing_can_be_planned(project, restored, monkeypatch, command, error):
    """Without another error since this folder is no DVC repository."""
    if error is not None:
        monkeypatch.setattr("moleflow.cli.plan.planned_stages", Mock(side_effect=error))
    with pytest.raises(error or PlanError):
        project.moleflow(*command)
