"""The inspector finds what the pipeline recorded, of the artifacts alone."""

import json
import shutil
from dataclasses import fields

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from projects import Project, save

from moleflow.backbones.backbone import BackboneError
from moleflow.calibration.conformal import alarms
from moleflow.files.artifacts import ArtifactError
from moleflow.files.paths import Paths
from moleflow.files.record_file import read_record
from moleflow.images.decoding import ImageError
from moleflow.images.index_table import read_index, white_of
from moleflow.inspector import UNKNOWN, Inspection, InspectionError, Inspector
from moleflow.routing.rejection import rejected
from moleflow.routing.router import Router
from moleflow.scoring.maps import anomaly_maps
from moleflow.scoring.scorer import load_scorer

ARTIFACTS = ("router.json", "tasks", "experts", "scorers")
REJECT_RATE, ALARM_RATE, SIZE, SIGMA = 0.02, 0.4, 32, 1.0


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Three small products, in tiles; bolt's test has two pictures of a washer, nut's some of no product at all."""
    made = Project.of_small_products(tmp_path_factory.mktemp("pipeline"))
    made.edit(tiles=2, reject_rate=REJECT_RATE, alarm_rate=ALARM_RATE, eval_size=SIZE, map_sigma=SIGMA)
    raw = made.root / "data/raw/small"
    rng = np.random.default_rng(0)
    for number in range(2):
        washer = np.asarray(Image.open(raw / f"washer/test/good/{number}.png")).astype(int)
        save(raw / f"bolt/test/good/washer{number}.png", np.clip(washer + 3, 0, 255).astype(np.uint8))
        save(raw / f"nut/test/good/noise{number}.png", rng.integers(0, 255, (48, 48, 3), dtype=np.uint8))
    made.run()
    return made


@pytest.fixture
def folder(project, tmp_path):
    """A folder with what the inspector needs, and nothing else."""
    (tmp_path / "data").mkdir()
    for name in ARTIFACTS:
        source = project.root / "data" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / "data" / name)
    return tmp_path


def pictures(project, product):
    table = read_index(Paths(project.root).index.of(product))
    return [project.root / path for path in table.path[table.split == "test"]]


def recorded(project, product):
    """What the pipeline wrote of a product's test images: nearest product, unknown, p-value, score, patch scores."""
    paths = Paths(project.root)
    order = list(json.loads(paths.order.read_text())["products"])
    routes, test = read_record(paths.routes, product).arrays, read_record(paths.scores.of(product), "test").arrays
    outcome = [dict(zip(test, row, strict=True)) for row in zip(*test.values(), strict=True)]
    misrouted = read_record(paths.misrouted, product)

    for other in order:
        group = misrouted.group(other)
        if group:
            predictions = vars(load_scorer(paths.scorers.of(other))[0](group))
            for place, row in enumerate(group["row"]):
                outcome[row] = {key: values[place] for key, values in predictions.items()}
    nearest = [order[number] for number in routes["chosen"][:, -1]]
    unknown = rejected(routes["known_p_value"], routes["strangeness"], REJECT_RATE)
    return nearest, unknown, outcome


def test_it_finds_what_the_pipeline_recorded(project, folder, monkeypatch):
    monkeypatch.chdir(folder)
    inspector = Inspector.load(folder)
    assert inspector.products == ["bolt", "nut", "washer"]
    seen = {"misrouted": 0, "unknown": 0, "alarm": 0}
    for product in inspector.products:
        nearest, unknown, outcome = recorded(project, product)
        found = inspector.inspect(pictures(project, product))
        assert len(found) == len(outcome)
        for each, expected_nearest, expected_unknown, expected in zip(found, nearest, unknown, outcome, strict=True):
            assert each.nearest == expected_nearest
            assert each.product == (UNKNOWN if expected_unknown else expected_nearest)
            assert each.image_score == pytest.approx(expected["image_score"], rel=1e-5)
            assert each.p_value == expected["p_value"]
            raised = alarms(np.array([expected["p_value"]]), ALARM_RATE)[0]
            assert each.alarm == (raised and not expected_unknown)
            anomaly = anomaly_maps(expected["patch_score"][None], size=SIZE, sigma=SIGMA)[0]
            np.testing.assert_allclose(each.anomaly_map, anomaly, rtol=1e-5, atol=1e-5)
            assert 0 <= each.routing_margin <= 1
            seen["misrouted"] += each.nearest != product
            seen["unknown"] += each.product == UNKNOWN
            seen["alarm"] += each.alarm
    assert all(seen.values()), seen


def test_paths_images_and_arrays_are_judged_alike_in_any_order_and_number(project, folder):
    inspector = Inspector.load(str(folder))
    paths = [*pictures(project, "bolt")[:3], *pictures(project, "washer")[-2:], *pictures(project, "nut")[:2]]
    expected = inspector.inspect(paths)
    images = [Image.open(path) for path in paths]
    for given in (map(str, paths), images, [np.asarray(image) for image in images]):
        assert_alike(inspector.inspect(given), expected)
    assert_alike(inspector.inspect(paths[::-1])[::-1], expected)
    assert_alike([one for path in paths for one in inspector.inspect([path])], expected)
    assert inspector.inspect([]) == []


def assert_alike(found: list[Inspection], expected: list[Inspection]):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for field in fields(Inspection):
            left, right = getattr(one, field.name), getattr(other, field.name)
            if isinstance(right, float | np.ndarray):
                np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)
            else:
                assert left == right, field.name


def test_a_backbone_pass_an_image_and_one_call_of_an_expert_a_product(project, folder, monkeypatch):
    inspector = Inspector.load(folder)
    images = [*pictures(project, "bolt"), *pictures(project, "washer")]
    passed, called = [], []
    forward, statistics = type(inspector.backbone).forward, inspector._judge("bolt").expert.__class__.statistics
    monkeypatch.setattr(
        type(inspector.backbone), "forward", lambda self, pixels: passed.append(len(pixels)) or forward(self, pixels)
    )
    monkeypatch.setattr(
        inspector._judge("bolt").expert.__class__,
        "statistics",
        lambda self, *given: called.append((self.name, id(self))) or statistics(self, *given),
    )
    inspector.inspect(images)
    assert sum(passed) == len(images)
    assert len(passed) < len(images) / 2
    assert {name for name, _ in called} >= {"bolt", "washer"}
    assert len(called) == len(set(called))
    first = set(called)
    inspector.inspect(images)
    assert set(called) == first  # the same experts: none is loaded again


def test_a_product_that_is_given_is_not_routed(project, folder):
    inspector = Inspector.load(folder)
    stray = pictures(project, "nut")[-1]
    (given,) = inspector.inspect([stray], product="bolt")
    assert (given.product, given.nearest, given.routing_margin) == ("bolt", "bolt", None)
    with pytest.raises(InspectionError, match="product 'screw' is not known; known are bolt, nut, washer"):
        inspector.inspect([stray], product="screw")
    with pytest.raises(InspectionError, match="put a single one into a list"):
        inspector.inspect(str(stray))


def test_the_oracle_must_be_told_the_product(project, folder):
    path = folder / "data/router.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"router": "oracle"}))
    inspector = Inspector.load(folder)
    image = pictures(project, "bolt")[0]
    with pytest.raises(InspectionError, match="the router is the oracle"):
        inspector.inspect([image])
    assert inspector.inspect([image], product="bolt")[0].product == "bolt"


def test_what_does_not_belong_together_is_refused(project, folder):
    data, image = folder / "data", pictures(project, "bolt")[0]
    shutil.copy(data / "tasks/t1/nut.safetensors", data / "tasks/t0/bolt.safetensors")
    with pytest.raises(ArtifactError, match=r"bolt\.safetensors is not the prototype that images were routed by"):
        Inspector.load(folder)
    shutil.copy(project.root / "data/tasks/t0/bolt.safetensors", data / "tasks/t0/bolt.safetensors")
    shutil.copy(data / "experts/t1/nut.safetensors", data / "experts/t0/bolt.safetensors")
    with pytest.raises(ArtifactError, match=r"bolt\.safetensors was made with another expert than the current one"):
        Inspector.load(folder).inspect([image], product="bolt")
    (data / "scorers/bolt.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"bolt.safetensors does not exist; `dvc repro` makes it"):
        Inspector.load(folder).inspect([image], product="bolt")
    (data / "router.json").unlink()
    with pytest.raises(ArtifactError, match=r"router.json does not exist; `dvc repro` makes it"):
        Inspector.load(folder)


def test_a_prototype_that_the_scores_were_not_made_with_is_refused(project, folder, tmp_path):
    """As after a `dvc repro` that was stopped between prototype and train: images would be standardized otherwise."""
    half = project.copy(tmp_path / "half")
    half.edit(standardize="product")
    half.run("check", "prototype", "route")
    image = pictures(project, "bolt")[0]
    with pytest.raises(ArtifactError, match=r"bolt\.safetensors was made with another prototype than the current one"):
        Inspector.load(half.root).inspect([image])
    early = Inspector.load(folder)  # what is loaded later must belong to what was loaded before
    for name in ARTIFACTS[1:]:
        shutil.rmtree(folder / "data" / name)
        shutil.copytree(half.root / "data" / name, folder / "data" / name)
    half.run("train", "base", "statistics", "score")
    shutil.copytree(half.root / "data/scorers", folder / "data/scorers", dirs_exist_ok=True)
    shutil.copytree(half.root / "data/experts", folder / "data/experts", dirs_exist_ok=True)
    with pytest.raises(ArtifactError, match="was made with another prototype than the current one"):
        early.inspect([image])


@pytest.mark.parametrize(
    "content",
    [[], {}, {"format": "router 1"}, {"reject_rate": "x"}, {"products": {}}, {"prototypes": {}}, {"more": 1}],
    ids=str,
)
def test_a_router_file_of_something_else_is_refused_by_name(folder, content):
    path = folder / "data/router.json"
    whole = json.loads(path.read_text())
    changed = whole | content if content and isinstance(content, dict) and "format" not in content else content
    path.write_text(json.dumps(changed))
    with pytest.raises(ArtifactError, match=r"router\.json (has the format|is not as|names other)"):
        Inspector.load(folder)


def closed(path):
    with Image.open(path) as image:
        pass
    return image


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda path: None, "image 1: NoneType is no image; give a path, an image of Pillow or an array"),
        (lambda path: path.read_bytes(), "image 1: bytes is no image"),
        (closed, "image 1: not a readable image"),
        (lambda path: np.zeros((4, 4, 3)), r"image 1: values of float64 up to 0 have no known white"),
        (lambda path: np.zeros((4, 4, 3), complex), r"image 1: an array \(4, 4, 3\) of complex128 is no image; give"),
        (lambda path: np.zeros((4, 4, 2), np.uint8), r"image 1: an array \(4, 4, 2\) of uint8 is no image"),
        (lambda path: np.zeros(4, np.uint8), r"image 1: an array \(4,\) of uint8"),
        (lambda path: np.zeros((0, 4), np.uint8), r"image 1: an array \(0, 4\) of uint8"),
        (lambda path: np.ones((4, 4), np.uint16), "image 1: values of uint16 up to .* have no known white"),
        (lambda path: path.parent, "not a readable image"),
        (lambda path: path.parent / "nothing.png", "nothing.png: not a readable image"),
    ],
)
def test_what_is_no_image_is_told_by_its_number_or_path(project, folder, made, said):
    path = pictures(project, "bolt")[0]
    with pytest.raises(ImageError, match=said):
        Inspector.load(folder).inspect(iter([path, made(path)]))


@pytest.mark.parametrize("images", ["one.png", b"", np.zeros((4, 4, 3), np.uint8)], ids=str)
def test_what_is_no_list_is_told(folder, images):
    with pytest.raises(InspectionError, match="inspect takes"):
        Inspector.load(folder).inspect(images)


def test_one_image_of_pillow_given_often_is_decoded_once(project, folder, tmp_path):
    """Several threads would read one file at once."""
    big = Image.open(pictures(project, "bolt")[0]).resize((1500, 1500))
    big.save(tmp_path / "big.jpg")
    inspector = Inspector.load(folder)
    (expected,) = inspector.inspect([tmp_path / "big.jpg"])
    for _ in range(4):
        for each in inspector.inspect([Image.open(tmp_path / "big.jpg")] * 8):
            assert each.image_score == pytest.approx(expected.image_score, rel=1e-5)


def test_other_weights_are_refused(folder, tmp_path):
    import timm
    from safetensors.torch import save_file

    other = tmp_path / "other.safetensors"
    save_file(timm.create_model("tf_efficientnet_lite0.in1k").state_dict(), other)
    with pytest.raises(BackboneError, match=r"are not those that the features were made with \(digest .*weights="):
        Inspector.load(folder, weights=str(other))


@pytest.fixture(scope="module")
def deep_project(tmp_path_factory):
    """Three small products as cameras of 12 and 14 bits write them, in files of 16; the third holds 8."""
    made = Project.of_small_products(tmp_path_factory.mktemp("deep"))
    made.edit(reject_rate=0.0, alarm_rate=ALARM_RATE, eval_size=SIZE, map_sigma=SIGMA)
    for product, top in (("bolt", 4095), ("nut", 16383)):
        for path in (made.root / "data/raw/small" / product).glob("t*/*/*.png"):
            pixels = np.asarray(Image.open(path)).astype(float)
            path.write_bytes(imagecodecs.png_encode(np.round(pixels * top / 255).astype(np.uint16)))
    made.run()
    return made


def test_images_of_more_than_8_bits_are_judged_as_the_pipeline_judged_them(deep_project):
    inspector = Inspector.load(deep_project.root)
    for product, white in (("bolt", 4095), ("nut", 16383)):
        table = read_index(Paths(deep_project.root).index.of(product))
        assert white_of(table) == white
        paths = [deep_project.root / path for path in table.path[table.split == "test"]]
        recorded_scores = read_record(Paths(deep_project.root).scores.of(product), "test").arrays["image_score"]
        found = inspector.inspect(paths, product=product)
        np.testing.assert_allclose([each.image_score for each in found], recorded_scores, rtol=1e-5)
        with pytest.raises(
            ImageError, match=r"uint16 are read by the product's white, .* \(4095, 16383, 65535\); give prod"
        ):
            inspector.inspect(paths)
    one = {
        name: each for name, each in inspector.router.prototypes.items() if name != "nut"
    }  # a single white, and 8 bits
    with_one = Inspector(
        inspector.paths,
        inspector.content,
        Router("euclidean", one, inspector.content.own_images),
        inspector.backbone,
        inspector.max_megapixels,
    )
    washer = np.asarray(Image.open(pictures(deep_project, "washer")[0])).astype(np.uint16)
    with pytest.raises(ImageError, match=r"image 0: values of uint16 .* \(4095, 65535\); give product"):
        with_one.inspect([washer * 257])
    with pytest.raises(ImageError, match=r"image 0: values of float32 up to .* have no known white"):
        with_one.inspect([(washer / 255).astype(np.float32)], product="bolt")
    shallow = pictures(deep_project, "washer")
    expected = read_record(Paths(deep_project.root).scores.of("washer"), "test").arrays["image_score"]
    found = inspector.inspect(shallow)  # of 8 bits, they need no product
    for each, score in zip(found, expected, strict=True):
        assert each.nearest != "washer" or each.image_score == pytest.approx(score, rel=1e-5)


def test_images_that_are_too_large_are_refused(folder, project):
    path = pictures(project, "bolt")[0]
    with pytest.raises(ImageError, match=r"png: 0\.0 megapixels, more than max_megapixels \(0\.001\)"):
        Inspector.load(folder, max_megapixels=0.001).inspect([path])
