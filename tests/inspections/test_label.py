"""`moleflow label`, through the real command: what it keeps, and what it refuses."""

import csv
import os
from threading import Thread

import numpy as np
import pytest
from PIL import Image
from projects import Project, save
from ruamel.yaml import YAML

from moleflow.cli.label import LabelError
from moleflow.config.params import ParamsError
from moleflow.config.registry import ChoiceError
from moleflow.datasets.sample import DatasetError
from moleflow.files.artifacts import ArtifactError
from moleflow.files.locks import locked
from moleflow.files.paths import Paths
from moleflow.images.index_table import read_index
from moleflow.inspections.asked import AskedError


@pytest.fixture(scope="module")
def listing(tmp_path_factory):
    """Three products, listed and not learned."""
    made = Project.of_small_products(tmp_path_factory.mktemp("pipeline"))
    made.run("check", "index")
    return made


@pytest.fixture
def project(listing, tmp_path, monkeypatch):
    copy = listing.copy(tmp_path / "repository")
    monkeypatch.chdir(copy.root)
    return copy


@pytest.fixture
def image(project, tmp_path):
    """A darker picture of bolt, with a name that is hard to handle."""
    path = tmp_path / "an image, näher.png"
    with Image.open(project.root / "data/raw/small/bolt/test/good/0.png") as good:
        Image.fromarray((np.asarray(good) * 0.9).astype(np.uint8)).save(path)
    return path


def labels(project, product="bolt"):
    with (project.root / f"data/feedback/{product}/labels.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def listed(project):
    folder = project.root / "data/feedback"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def defective_image(tmp_path, name="defect.png", seed=0):
    save(tmp_path / name, np.random.default_rng(seed).integers(0, 255, (48, 48, 3), dtype=np.uint8))
    return tmp_path / name


def test_a_labeled_image_keeps_its_name_source_and_digest(project, image):
    project.moleflow("label", image, "--product", "bolt", "--normal")
    (row,) = labels(project)
    assert row["source"] == str(image)
    assert row["image"] == f"normal/an image, näher-{row['digest'][:12]}.png"
    assert (project.root / "data/feedback/bolt" / row["image"]).read_bytes() == image.read_bytes()


def test_images_of_one_name_from_two_folders_stay_apart(project, tmp_path):
    images = [defective_image(tmp_path / folder, seed=number) for number, folder in enumerate("ab")]
    project.moleflow("label", *images, "--product", "bolt", "--defective", "hole")
    assert sorted(row["source"] for row in labels(project)) == sorted(map(str, images))
    assert len(listed(project)) == 3


def test_who_labels_while_somebody_else_does_waits(project, image):
    second = Thread(target=project.moleflow, args=("label", image, "--product", "bolt", "--normal"))
    with locked(project.root / "data/.labels.lock"):
        second.start()
        second.join(2)
        assert second.is_alive()
        assert not listed(project)
    second.join()
    assert len(labels(project)) == 1


def test_an_image_named_twice_is_labeled_once(project, image, tmp_path):
    project.moleflow("label", image, tmp_path / ".." / tmp_path.name / image.name, "--product", "bolt", "--normal")
    assert len(labels(project)) == 1


def _wrong(name, project, image, tmp_path):
    """An image that cannot be labeled beside `image`, and what is said of it."""
    made = tmp_path / f"{name}.png"
    if name == "twin":
        made = tmp_path / "twin.bmp"
        Image.open(image).save(made)
        return made, f"is the same picture as {image}"
    if name == "own again":
        made = tmp_path / "again.bmp"
        Image.open(project.root / "data/raw/small/bolt/train/good/0.png").save(made)
        return made, r"again\.bmp is the product's own data/raw/.*\(train\)"
    if name == "own":
        return project.root / "data/raw/small/bolt/train/good/0.png", r"is the product's own data/raw/.*\(train\)"
    if name == "deep":
        Image.fromarray(np.full((48, 48), 900, np.uint16)).save(made)
        return made, "have no known white"
    if name == "unnamed":
        made = defective_image(tmp_path).rename(tmp_path / "part")
        return made, "part: no suffix is not the suffix of an image"
    if name == "broken":
        made.write_bytes(b"no image")
    return made, f"{name}.png"


@pytest.mark.parametrize("name", ["twin", "own", "own again", "deep", "unnamed", "broken", "missing"])
def test_one_wrong_image_and_nothing_is_labeled(project, image, tmp_path, name):
    wrong, said = _wrong(name, project, image, tmp_path)
    with pytest.raises(LabelError, match=rf"nothing was labeled:\n.*{said}"):
        project.moleflow("label", image, wrong, "--product", "bolt", "--normal")
    assert listed(project) == []


def test_a_label_is_changed_by_taking_the_old_one_back(project, image):
    project.moleflow("label", image, "--product", "bolt", "--normal")
    (row,) = labels(project)
    kept = project.root / "data/feedback/bolt" / row["image"]
    before = listed(project)
    for again in (image, kept.relative_to(project.root)):
        with pytest.raises(LabelError, match=r"same picture as .*normal.*remove that one first"):
            project.moleflow("label", again, "--product", "bolt", "--defective", "hole")
    assert listed(project) == before
    kept.unlink()
    project.moleflow("label", image, "--product", "bolt", "--defective", "hole")
    assert [row["image"].split("/")[:-1] for row in labels(project)] == [["defective", "hole"]]


def test_a_hidden_file_is_labeled_under_a_name_that_counts(project, image, tmp_path):
    project.moleflow("label", image.rename(tmp_path / ".part.png"), "--product", "bolt", "--normal")
    project.run("check", "index")
    assert (read_index(Paths(project.root).index.of("bolt")).split == "feedback").sum() == 1


def test_a_product_without_an_index_is_refused(project, image):
    Paths(project.root).index.of("bolt").unlink()
    with pytest.raises(ArtifactError, match=r"bolt\.csv does not exist; `dvc repro` makes it"):
        project.moleflow("label", image, "--product", "bolt", "--normal")
    assert listed(project) == []


@pytest.mark.parametrize("kind", ["", ".", "..", "a/b", "good", "Good", "-x"])
def test_a_kind_is_the_name_of_a_folder(project, image, kind):
    with pytest.raises(LabelError, match=r"no kind of defect"):
        project.moleflow("label", image, "--product", "bolt", f"--defective={kind}")
    assert listed(project) == []


def test_an_unknown_product_is_refused(project, image):
    with pytest.raises(ChoiceError, match="blot"):
        project.moleflow("label", image, "--product", "blot", "--normal")


def test_a_label_is_given_once(project, image, capsys):
    for labels_given in ([], ["--normal", "--defective", "hole"]):
        with pytest.raises(SystemExit):
            project.moleflow("label", image, "--product", "bolt", *labels_given)
    assert "--normal" in capsys.readouterr().err


@pytest.mark.parametrize("in_the_way", ["bolt/defective/hole", "bolt/defective"])
def test_what_cannot_be_written_leaves_nothing(project, image, tmp_path, in_the_way):
    blocked = project.root / "data/feedback" / in_the_way
    blocked.parent.mkdir(parents=True)
    blocked.touch()
    before = sorted((project.root / "data/feedback").rglob("*"))
    with pytest.raises(LabelError, match=r"nothing was labeled: .* cannot be written"):
        project.moleflow("label", image, defective_image(tmp_path), "--product", "bolt", "--defective", "hole")
    assert sorted((project.root / "data/feedback").rglob("*")) == before


def test_a_name_that_is_too_long_leaves_no_folder_and_no_other_image(project, image, tmp_path):
    long = defective_image(tmp_path, f"{'x' * 250}.png")
    with pytest.raises(LabelError, match=r"nothing was labeled: .* cannot be written"):
        project.moleflow("label", image, long, "--product", "bolt", "--normal")
    assert not (project.root / "data/feedback/bolt").exists()


def test_a_product_with_labeled_images_is_not_retired(project, image):
    project.moleflow("label", image, "--product", "washer", "--normal")
    with pytest.raises(ParamsError, match=r"data/feedback/washer belongs to washer; move it elsewhere"):
        project.moleflow("retire", "washer")
    assert len(labels(project, "washer")) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"image|source|digest\nnormal/a.png|a.png|0\n", r"lacks the column image; it has image\|source\|digest"),
        (b"", "is no UTF-8 text separated by commas, semicolons or tabs"),
        (
            "image,source,digest\nnormal/a.png,näher.png,0\n".encode("cp1252"),
            "is no UTF-8 text separated by commas, semicolons or tabs",
        ),
    ],
    ids=["bars", "empty", "cp1252"],
)
def test_a_table_that_cannot_be_read_is_refused_and_nothing_is_labeled(project, image, content, said):
    folder = project.root / "data/feedback/bolt"
    folder.mkdir(parents=True)
    (folder / "labels.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=rf"data/feedback/bolt/labels\.csv {said}"):
        project.moleflow("label", image, "--product", "bolt", "--normal")
    assert listed(project) == ["bolt/labels.csv"]
    assert (folder / "labels.csv").read_bytes() == content


def test_a_name_that_is_no_text_is_not_labeled(project, image):
    odd = os.fsdecode(os.fsencode(image.parent) + b"/gr\xfc.png")
    with pytest.raises(
        LabelError, match=r"nothing was labeled:\n.*gr\\udcfc\.png: the file's name is not UTF-8; rename"
    ):
        project.moleflow("label", image.rename(odd), "--product", "bolt", "--normal")
    assert listed(project) == []


@pytest.mark.parametrize(
    ("key", "command"),
    [("max_megapixels", ["label", "x.png", "--product", "bolt", "--normal"]), ("expert_per", ["retire", "nut"])],
)
def test_a_missing_key_is_named(project, key, command):
    params = project.params()
    params["classes"]["washer"]["task"] = "t1"
    del params[key]
    YAML().dump({**params, "later_tasks": ["t1"]}, project.root / "params.yaml")
    with pytest.raises(ParamsError, match=f"{key}: the key is missing"):
        project.moleflow(*command)


def test_a_table_of_an_earlier_version_knows_files_alone(project):
    table = Paths(project.root).index.of("bolt")
    read_index(table).drop(columns="content").to_csv(table, index=False)
    with pytest.raises(LabelError, match=r"is the product's own data/raw/.*\(train\)"):
        project.moleflow("label", "data/raw/small/bolt/train/good/0.png", "--product", "bolt", "--normal")


def test_nothing_is_labeled_beside_images_that_dvc_has_not_fetched(project, image):
    (project.root / "data/feedback").mkdir(exist_ok=True)
    (project.root / "data/feedback/bolt.dvc").write_text("outs: []")
    with pytest.raises(LabelError, match=r"data/feedback/bolt is not here; `dvc pull data/feedback/bolt\.dvc` fetches"):
        project.moleflow("label", image, "--product", "bolt", "--normal")
    assert listed(project) == ["bolt.dvc"]


def test_an_empty_name_is_no_folder(project):
    with pytest.raises(AskedError, match="an image has an empty name"):
        project.moleflow("label", "", "--product", "bolt", "--normal")
