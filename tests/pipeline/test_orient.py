"""orient: principal_axis from end to end: objects that lie anyhow, whose defects are found where they are."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from projects import Project, save
from samples import CPU
from skimage.draw import ellipse

from moleflow.backbones.backbone import Backbone
from moleflow.evaluation.records import Records
from moleflow.features.prototype import load_prototype
from moleflow.files.feature_store import TURNED, StoreError, open_split
from moleflow.files.order import read_order
from moleflow.files.paths import Paths
from moleflow.files.probe_names import kinds_of, sources_of
from moleflow.files.record_file import read_record
from moleflow.images.orienting import oriented, turn_of, turned_back
from moleflow.images.reading import image_pixels, mask_pixels, rotated
from moleflow.inspections.pictures import in_image
from moleflow.inspector import Inspector
from moleflow.probe.defects import paint
from moleflow.probe.perturbations import perturb
from moleflow.report.cases import worst_cases
from moleflow.scoring.maps import anomaly_maps

PHOTO, SIDE = 96, 32  # pixels of an image and of a map


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Two products of objects, wide images cropped and seen in tiles, with rotated copies."""
    made = Project.of_small_products(tmp_path_factory.mktemp("orient"))
    made.edit(classes={}, later_tasks=[], orient="principal_axis", resize="crop", tiles=2, rotation_degrees=90.0)
    for number, name in enumerate(("pin", "rod")):
        write_objects(made.root / "data/raw/small" / name, number)
        made.add(name, f"t{number}")
    made.run()
    return made


def write_objects(root, number):
    """A bright bar with a brighter end, turned at random; the defect is a black spot on it."""
    rng = np.random.default_rng(number)
    for part, count in (("train/good", 20), ("test/good", 4), ("test/spot", 6)):
        for index in range(count):
            angle, middle = rng.uniform(0, 2 * np.pi), (PHOTO - 1) / 2
            pixels = 60 + rng.normal(0, 2, (PHOTO, PHOTO + 20))

            def spot(along, long, short, angle=angle, middle=middle):
                center = middle - along * np.sin(angle), middle + 10 + along * np.cos(angle)
                return ellipse(*center, short, long, shape=(PHOTO, PHOTO + 20), rotation=angle)

            pixels[spot(0, 38, 13 - 2 * number)] = 130 + 30 * number
            pixels[spot(-24, 7, 7)] = 230
            if part == "test/spot":
                mask = np.zeros(pixels.shape, np.uint8)
                mask[spot(rng.uniform(-8, 22), 6, 6)] = 255
                pixels[mask > 0] = 0
                save(root / f"ground_truth/spot/{index}_mask.png", mask)
            save(root / f"{part}/{index}.png", np.clip(pixels, 0, 255).astype(np.uint8)[..., None].repeat(3, 2))


def view_of(project, image):
    side = open_split(Paths(project.root).probes.of("pin"), "probe").masks().shape[-1]
    return image_pixels(project.root / image, side, "crop", white=None)


def test_the_backbone_saw_turned_views_in_every_split(project):
    params, paths = project.params(), Paths(project.root)
    backbone = Backbone(
        params["backbone"], params["layers"], "package", img_size=params["img_size"], tiles=2, device=CPU
    )
    for split in ("train", "rotated", "calibration", "test"):
        stored = open_split(paths.features.of("rod"), split)
        assert stored.origin.orient == "principal_axis"
        for row in (0, -1):
            image, _, degrees = stored.images[row].partition(TURNED)
            view = rotated(view_of(project, image), float(degrees or 0))
            assert_seen(stored, row, backbone, view)
    normal = open_split(paths.features.of("rod"), "calibration").images
    for split, change in (("probe", lambda *given: paint(*given)[0]), ("perturbed", perturb)):
        stored = open_split(paths.probes.of("rod"), split)
        (kind,), (source,) = kinds_of(stored.images[:1]), sources_of(stored.images[:1])
        assert_seen(stored, 0, backbone, change(view_of(project, normal[source]), kind, 0))


def assert_seen(stored, row, backbone, view):
    seen, upright = (
        backbone(torch.from_numpy(np.stack([each])))[0] for each in (oriented(view, "principal_axis"), view)
    )
    found = stored.maps(slice(row, None) if row < 0 else slice(row, row + 1))[0].float()
    assert turn_of(view, "principal_axis") != 0
    torch.testing.assert_close(found, seen, rtol=1e-2, atol=1e-2)
    assert not torch.allclose(found, upright, rtol=1e-2, atol=1e-2)


def test_masks_lie_over_defects_in_turned_views(project):
    paths = Paths(project.root)
    records = Records(paths, read_order(paths.order), size=SIDE)
    for product in ("pin", "rod"):
        outcome, table = records.flow(product), records.test_images(product)
        for image, mask in zip(table.path, outcome.masks, strict=True):
            black = Image.fromarray(oriented(view_of(project, image), "principal_axis")[0]).resize((SIDE, SIDE))
            dark = np.asarray(black) < 30
            assert mask.any() == dark.any()
            if mask.any():
                places = [np.argwhere(each).mean(0) for each in (mask, dark)]
                assert np.linalg.norm(places[0] - places[1]) < 1


def test_masks_of_the_probe_are_turned_like_what_is_painted(project):
    paths = Paths(project.root)
    normal = open_split(paths.features.of("pin"), "calibration").images
    stored = open_split(paths.probes.of("pin"), "probe")
    pairs = zip(kinds_of(stored.images), sources_of(stored.images), stored.masks(), strict=True)
    for number, (kind, row, mask) in enumerate(pairs):
        pixels, painted = paint(view_of(project, normal[row]), kind, number % project.params()["probe_images"])
        turn = turn_of(pixels, "principal_axis")
        back = turned_back(mask.astype(np.float32), turn) > 0.5
        places = [np.argwhere(each).mean(0) for each in (back, painted)]
        assert np.linalg.norm(places[0] - places[1]) < 1


def test_the_inspectors_maps_lie_over_defects_in_images(project):
    """They are those of the pipeline, turned back."""
    paths, inspector = Paths(project.root), Inspector.load(project.root)
    records = Records(paths, read_order(paths.order), size=SIDE)
    table = records.test_images("pin")
    images = [project.root / image for image in table.path]
    scores = read_record(paths.scores.of("pin"), "test").arrays["patch_score"]
    for image, file, patches, found in zip(
        images, table["mask"], scores, inspector.inspect(images, product="pin"), strict=True
    ):
        turn = turn_of(view_of(project, image), "principal_axis")
        [anomaly] = anomaly_maps(patches[None], size=SIDE, sigma=project.params()["map_sigma"])
        np.testing.assert_allclose(found.anomaly_map, turned_back(anomaly, turn), rtol=1e-4, atol=1e-4)
        if file:
            mask = np.asarray(Image.open(project.root / file)) > 0
            whole = in_image(found.anomaly_map, mask.shape[::-1], inspector.resize)
            assert whole[mask].mean() > np.percentile(whole, 90)


def test_the_report_shows_images_as_they_are(project):
    paths = Paths(project.root)
    records = Records(paths, read_order(paths.order), size=SIDE)
    table = records.test_images("pin")
    shown = worst_cases(
        records.flow("pin"), table, records.names, root=paths.root, view=records.view("pin"), sigma=1.0, size=SIDE
    )
    masks = dict(zip(table.path, table["mask"], strict=True))
    cases = [case for group in shown.groups for case in group.shown if case.contour]
    assert len(cases) == 6
    for case in cases:
        outline = np.array([float(number) for number in re.findall(r"[\d.]+", case.contour)]).reshape(-1, 2)
        rows, columns = np.nonzero(mask_pixels(project.root / masks[case.path], SIDE, "crop"))
        assert np.abs(outline.mean(0) - [columns.mean() + 0.5, rows.mean() + 0.5]).max() < 1.5


def test_defects_are_found_and_another_orientation_is_refused(project):
    assert project.summary()["image_auroc"] > 0.9
    assert project.summary()["pixel_auroc"] > 0.9
    paths = Paths(project.root)
    stored, prototype = (
        open_split(paths.features.of("pin"), "test"),
        load_prototype(paths.prototype_of("pin", "t0"), CPU),
    )
    prototype.require_origin(stored)
    upright = replace(prototype, origin=replace(prototype.origin, orient="none"))
    with pytest.raises(StoreError, match="orient 'principal_axis' instead of 'none'"):
        upright.require_origin(stored)
