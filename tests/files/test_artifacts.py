import itertools
import os
import shutil
import sys

import pytest

from moleflow.files.artifacts import (
    ArtifactError,
    digest,
    read_json,
    require_writable,
    write_json,
    write_text,
    written_whole,
)

KILLED = 9  # exit status
OLD = ("file", "folder", "link to file", "link to folder")
every_old = pytest.mark.parametrize("old", OLD)
every_new = pytest.mark.parametrize("new", ["file", "folder"])
REPLACEMENTS = [(old, new) for old in OLD for new in ("file", "folder") if (old, new) != ("folder", "file")]
every_replacement = pytest.mark.parametrize(("old", "new"), REPLACEMENTS)


def make(path, kind, text):
    """A file, a folder with a name that only this `text` has, or a link to one of them beside `path`."""
    if kind == "file":
        path.write_text(text)
    elif kind == "folder":
        (path / "sub").mkdir(parents=True)
        for name in (text, "both", "sub/both"):
            (path / name).write_text(text)
    else:
        make(path.with_name("target"), kind.removeprefix("link to "), text)
        path.symlink_to("target")


def content(path):
    if path.is_dir():
        return {str(each.relative_to(path)): content(each) for each in path.rglob("*") if not each.is_dir()}
    return path.read_text() if path.exists() else None


def content_of(kind, text):
    return dict.fromkeys((text, "both", "sub/both"), text) if kind.endswith("folder") else text


def assert_nothing_beside(path, old):
    """A link's target is as it was, and no leftover is there."""
    names = {each.name for each in path.parent.iterdir()} - {path.name}
    assert names == ({"target"} if "link" in old else set())
    assert "link" not in old or content(path.with_name("target")) == content_of(old, "old")


def replace_until(event, path, new):
    """Replaces `path` in a process killed right before its file-system event number `event`; whether it ended."""
    process = os.fork()
    if process == 0:
        left = iter(range(event))

        def hook(name, _):
            if name.partition(".")[0] in ("open", "os", "shutil") and next(left, None) is None:
                os._exit(KILLED)

        try:
            sys.addaudithook(hook)
            with written_whole(path) as partial:
                make(partial, new, "new")
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, KILLED)
    return status == 0


def killed_replacements(folder, old, new):
    """Old artifacts, each after a replacement that was killed one event later than the one before it."""
    for event in itertools.count():
        path = folder / f"killed-before-event-{event}" / "artifact"
        path.parent.mkdir()
        make(path, old, "old")
        ended = replace_until(event, path, new)
        assert not ended or content(path) == content_of(new, "new")
        yield path
        if ended:
            return


@every_replacement
def test_a_kill_leaves_the_old_or_the_new_artifact_whole(tmp_path, old, new):
    whole = content_of(old, "old"), content_of(new, "new")
    for path in killed_replacements(tmp_path, old, new):
        if new == "file":
            assert content(path) in whole, path
        with pytest.raises(RuntimeError), written_whole(path):
            assert content(path) in whole, path
            raise RuntimeError
        assert content(path) in whole, path
        assert_nothing_beside(path, old)


def test_half_removed_folder_is_never_restored(tmp_path):
    for path in killed_replacements(tmp_path, "folder", "folder"):
        shutil.rmtree(path, ignore_errors=True)  # as DVC does before it runs a stage again
        with pytest.raises(RuntimeError), written_whole(path):
            raise RuntimeError
        assert content(path) in (None, content_of("folder", "old")), path


@every_replacement
def test_only_the_new_artifact_is_left(tmp_path, old, new):
    path = tmp_path / "artifact"
    make(path, old, "old")
    with written_whole(path) as partial:
        make(partial, new, "new")
        assert content(path) == content_of(old, "old")
    assert content(path) == content_of(new, "new")
    assert not path.is_symlink()
    assert_nothing_beside(path, old)


@every_old
@every_new
def test_failure_leaves_the_old_artifact_and_nothing_else(tmp_path, old, new):
    path = tmp_path / "artifact"
    make(path, old, "old")
    with pytest.raises(RuntimeError), written_whole(path) as partial:
        make(partial, new, "half")
        raise RuntimeError
    assert content(path) == content_of(old, "old")
    assert_nothing_beside(path, old)


def test_no_file_replaces_a_folder(tmp_path):
    path = tmp_path / "artifact"
    make(path, "folder", "old")
    with pytest.raises(ArtifactError, match="artifact is a folder, which no file may replace"):
        write_text(path, "new")
    assert content(path) == content_of("folder", "old")
    assert_nothing_beside(path, "folder")


def test_a_name_may_be_as_long_as_the_file_system_takes_it(tmp_path):
    path = tmp_path / ("ä" * 125 + ".json")
    write_json(path, 1)
    write_json(path, 2)
    assert read_json(path) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_takes_no_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "new/below/it"):
        require_writable(path)
    with pytest.raises(ArtifactError, match="is a folder; choose the name of a file"):
        require_writable(tmp_path)
    with pytest.raises(ArtifactError, match="file is no folder; choose another place"):
        require_writable(tmp_path / "file/new/p.csv")
    monkeypatch.setattr(os, "access", lambda *_: False)  # whoever runs the tests as root may write anywhere
    with pytest.raises(ArtifactError, match="closed to you; change its permissions"):
        require_writable(tmp_path / "p.csv")


@every_old
def test_nothing_written_leaves_the_old_artifact(tmp_path, old):
    path = tmp_path / "artifact"
    make(path, old, "old")
    with pytest.raises(FileNotFoundError, match=r"\.artifact\.partial"), written_whole(path):
        pass
    assert content(path) == content_of(old, "old")
    assert_nothing_beside(path, old)


@every_new
def test_link_to_nothing_is_replaced(tmp_path, new):
    path = tmp_path / "artifact"
    path.symlink_to("removed")
    with written_whole(path) as partial:
        make(partial, new, "new")
    assert content(path) == content_of(new, "new")
    assert_nothing_beside(path, new)


def test_leftover_of_a_kill_is_overwritten(tmp_path):
    (tmp_path / ".artifact.partial").mkdir()
    with written_whole(tmp_path / "artifact") as partial:
        partial.write_text("new")
    assert (tmp_path / "artifact").read_text() == "new"


def test_nan_never_enters_a_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "m.json", {"x": float("nan")})
    assert not (tmp_path / "m.json").exists()


def test_json_is_read_back_and_what_is_none_is_named(tmp_path):
    path = tmp_path / "costs.json"
    write_json(path, {"größe": 1})
    assert read_json(path) == {"größe": 1}
    path.write_text("<<<<<<< HEAD\n{}\n=======\n")
    with pytest.raises(ArtifactError, match=r"costs\.json is not JSON \(.*\); delete it and run `dvc repro`"):
        read_json(path)
    for read in (read_json, digest):
        with pytest.raises(ArtifactError, match=r"nothing does not exist; `dvc repro` makes it"):
            read(tmp_path / "nothing")
