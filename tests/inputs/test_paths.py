"""2 and 15. Keys that are no text, and paths that a shell or YAML would read otherwise."""

import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
from projects import ROOT, Project
from ruamel.yaml import YAML

from moleflow.cli.main import main
from moleflow.config.params import ParamsError, read_params
from moleflow.config.products import ProductClass
from moleflow.files.params_file import write_products
from moleflow.images.index_table import read_index
from stages.params_mistakes import all_mistakes

PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")


@pytest.mark.parametrize("key", ["01", "1e3", "null", "true", "2024-01-01"])
def test_02_a_key_that_is_no_text_is_refused_by_check_and_by_every_command(tmp_path, monkeypatch, capsys, key):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text().replace("  brick: {", f"  {key}: {{")
    Path("params.yaml").write_text(text)
    with pytest.raises(ParamsError, match="are not text to YAML, and DVC drops the stages of such a product; quote"):
        read_params(Path("params.yaml"))
    for command in (["preset", "lite0"], ["scenario", "demo", "1-1"]):
        monkeypatch.setattr("sys.argv", ["moleflow", *command])
        with pytest.raises(SystemExit, match="are not text to YAML"):
            main()
    assert Path("params.yaml").read_text() == text
    Path("params.yaml").write_text(text.replace(f"  {key}: {{", f"  '{key}': {{"))
    assert key in read_params(Path("params.yaml"))["classes"]


def test_02_moleflow_quotes_what_it_writes(params):
    """Scenarios are written like this."""
    names = ["01", "1e3", "null", "true"]
    write_products({name: ProductClass(task=name, layout="btad", path="/x") for name in names}, params)
    assert list(read_params(params)["classes"]) == names
    assert read_params(params)["later_tasks"] == names[1:]


def test_15_a_scenario_writes_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    monkeypatch.setattr("moleflow.cli.scenario.planned", lambda paths: nullcontext())
    monkeypatch.setattr("sys.argv", ["moleflow", "scenario", "mvtec", "14-1", "--root", "my mvtec"])
    main()
    assert read_params(Path("params.yaml"))["classes"]["bottle"]["path"] == str(tmp_path / "my mvtec/bottle")


@pytest.mark.parametrize("path", ["~/bottle", "$HOME/bottle", "${HOME}/bottle"])
def test_15_a_path_that_only_a_shell_would_expand_is_refused_with_the_path_to_write(monkeypatch, path):
    monkeypatch.setenv("HOME", "/home/ä")
    line = {**PARAMS["classes"]["brick"], "path": path}
    found = all_mistakes({**PARAMS, "classes": {**PARAMS["classes"], "brick": line}})
    assert found == [f"classes.brick.path: DVC does not expand {path!r}; write /home/ä/bottle"]


def test_15_quotes_and_dollars_in_a_path_are_read_as_they_are(tmp_path):
    project = Project.of_small_products(tmp_path)
    folder = project.root / "data/raw/a \"b\" $HOME 'c'; #d"
    (project.root / "data/raw/small/bolt").rename(folder)
    params = project.params()
    params["classes"]["bolt"]["path"] = folder.relative_to(project.root).as_posix()
    project.edit(classes=params["classes"])
    project.run("check", "index")
    table = read_index(project.root / "data/index/bolt.csv")
    assert len(table) == 28
    assert all((project.root / path).is_file() for path in table.path)
