"""Where everything lies: below the root that is given, each thing in one place."""

from pathlib import Path

from moleflow.files.paths import Folder, Paths


def test_everything_lies_below_the_root_and_nothing_is_made(tmp_path):
    paths = Paths(tmp_path / "top")
    named = [path.of("bolt") if isinstance(path, Folder) else path for path in vars(paths).values()]
    named.remove(paths.root)
    named += [paths.product_params("bolt", "score"), paths.task_params("t0"), paths.prototype_of("bolt", "t0")]
    named += [paths.expert_of("bolt", "t0")]
    assert all(paths.root in each.parents for each in named)
    assert len(set(named)) == len(named)
    assert not paths.root.exists()
    assert Paths(Path()).order == Path("data/check/order.json")


def test_an_expert_is_a_products_own_or_its_tasks(tmp_path):
    paths = Paths(tmp_path)
    own, shared = paths.experts / "t1/bolt.safetensors", paths.experts / "t1/t1.safetensors"
    shared.parent.mkdir(parents=True)
    shared.touch()
    assert paths.expert_of("bolt", "t1") == paths.expert_of("nut", "t1") == shared
    own.touch()
    assert paths.expert_of("bolt", "t1") == own
    assert paths.expert_of("nut", "t1") == shared
