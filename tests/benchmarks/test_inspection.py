"""Judging images with many products known, part by part, beside one backbone pass; and from the start of a process."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from projects import ROOT
from samples import CPU, TOP3, own_images_of, scorer_of

from moleflow.backbones.backbone import Backbone
from moleflow.config.params import read_params
from moleflow.features.normal_patches import NormalPatches
from moleflow.features.prototype import build_prototype, save_prototype
from moleflow.files.artifacts import digest
from moleflow.files.feature_store import Origin, open_split, write_split
from moleflow.files.paths import Paths
from moleflow.flow.density import Density, expert_state
from moleflow.flow.expert_files import save_base, save_expert
from moleflow.flow.relative import relative_likelihood
from moleflow.images.reading import image_pixels
from moleflow.inspector import Inspector
from moleflow.protocols.presets import PRESETS
from moleflow.routing.router_file import RouterFile, write_router
from moleflow.scoring.maps import anomaly_maps
from moleflow.scoring.scorer import save_scorer
from moleflow.scoring.scores import SCORES
from moleflow.statistics.expert import patch_statistics

PARAMS = read_params(ROOT / "params.yaml")
NORMAL = 32  # calibration images


def photographs(count, seed=0):
    """Smooth pictures that differ a little from each other, (N, 300, 300, 3)."""
    rng = np.random.default_rng(seed)
    coarse = np.random.default_rng(9).integers(60, 200, (1, 10, 10, 3)) + rng.integers(-15, 15, (count, 10, 10, 3))
    pictures = coarse.repeat(30, 1).repeat(30, 2) + rng.integers(-5, 5, (count, 300, 300, 3))
    return pictures.clip(0, 255).astype(np.uint8)


def write_artifacts(root, products, params):
    """Artifacts of the sizes of some parameters: one product's expert, bank and scorer under many names."""
    paths, view = Paths(root), params["img_size"]
    backbone = Backbone(params["backbone"], params["layers"], "package", img_size=view, device=CPU)
    origin = Origin(params["backbone"], backbone.weights_digest, params["layers"], view, "stretch")
    pixels = torch.from_numpy(
        np.stack([image_pixels(picture, view, "stretch", white=None) for picture in photographs(NORMAL, 1)])
    )
    write_split(root / "s.zarr/train", origin, [str(row) for row in range(NORMAL)], [backbone(pixels)])
    split = open_split(root / "s.zarr", "train")
    patching = {key: params[key] for key in ("neighborhood", "embed_dim", "grid", "layer_merge")}
    settings = {"patching": patching, "standardize": "whiten", "router_rank": 32, "device": CPU}
    prototype = build_prototype(split, **settings)
    normal = prototype.standardized(split)
    sizes = {key: params[key] for key in ("memory_size", "memory_center", "gaussian_rank")}
    patches = NormalPatches.of(normal, prototype.layers, **sizes)
    arguments = {"channels": prototype.modeled(params["flow_layers"]), "settings": params, "first": False, "seed": 0}
    density = Density(**arguments)
    save_base(paths.base, density, arguments)
    relative = relative_likelihood(density, expert_state(density), normal, patches, torch.float32)
    log_det = prototype.log_det(density.channels)
    found = patch_statistics(density.eval(), patches, relative, normal[:], log_det=log_det, dtype=torch.float32)
    calibration = {name: values.numpy() for name, values in found.items()}
    score = SCORES["combined_relative" if params["gaussian_rank"] else "memory_relative"]
    scorer = scorer_of(score, calibration, settings=PARAMS_OF_SCORES)
    names = [f"p{number:03d}" for number in range(products)]
    for number, name in enumerate(names):
        images = prototype.images + 10 * number
        save_prototype(paths.prototype_of(name, name), replace(prototype, images=images))
        path = paths.experts / name / f"{name}.safetensors"
        links = {
            "normal_patches": [{name: patches}],
            "relatives": [{name: relative}],
            "base": paths.base,
            "features": {name: "f"},
        }
        save_expert(path, [expert_state(density)], arguments, **links)
        attributes = {"alarm_rate": 0.05, "precision": "fp32"}
        attributes |= {"base_digest": digest(paths.base), "expert_digest": digest(path)}
        attributes["prototype_digest"] = digest(paths.prototype_of(name, name))
        save_scorer(paths.scorers.of(name), scorer, attributes)
    digests = {name: digest(paths.prototype_of(name, name)) for name in names}
    write_router(
        paths.router,
        RouterFile(
            router="neighbors",
            reject_rate=0.01,
            tasks=names,
            products={name: name for name in names},
            prototypes=digests,
            own_images=own_images_of(dict.fromkeys(names, prototype)),
        ),
    )


PARAMS_OF_SCORES = TOP3 | {"image_level": 25.0, "eval_size": 224, "map_sigma": 4.0}


@pytest.fixture(autouse=True)
def all_cores():
    """As an inspector runs, not as the tests do."""
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)


KNOWN = {f"{products} products known": (products, PARAMS) for products in (5, 15, 100)}
KNOWN |= {f"15 products known, {name}": (15, PARAMS | PRESETS[name]) for name in ("fast", "fine", "accurate")}


@pytest.fixture(scope="module", params=KNOWN)
def inspector(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("artifacts")
    write_artifacts(root, *KNOWN[request.param])
    made = Inspector.load(root)
    made.inspect(list(photographs(1)))  # loads the expert
    return made


WAYS = (
    "one backbone pass", "the same in batches of 4", "decode", "patch features, standardized", "routing", "flow",
    "normal patches", "scores", "maps", "all but decoding",
)  # fmt: skip


def parts_of(inspector, images):
    """The parts of `inspect` in their order, each on what the one before it gave."""
    judge, prototype = inspector._judge("p000"), inspector._first_prototype
    density, bank = judge.expert.densities[0], judge.expert.normal_patches[0]
    side = inspector.backbone.side
    views = [
        image_pixels(image, side, "stretch", white=None).transpose(1, 2, 0) for image in images
    ]  # nothing is left to decode or to resize
    pixels = torch.from_numpy(np.stack([view.transpose(2, 0, 1) for view in views]))
    maps = [layer.half() for layer in inspector.backbone(pixels)]
    features = prototype.patch_features(maps)
    standardized = prototype.standardize(features)
    statistics = judge.expert.statistics(standardized, [""] * len(images))
    predicted = judge.scorer(statistics)
    assert {found.nearest for found in inspector.inspect(views)} == {"p000"}  # all by one expert

    @torch.inference_mode()
    def flow():
        return density(standardized[..., : density.channels].float()).nll

    runs = (
        lambda: inspector.backbone(pixels),
        lambda: [inspector.backbone(batch) for batch in pixels.split(4)],
        lambda: [image_pixels(image, side, "stretch", white=None) for image in images],
        lambda: prototype.standardize(prototype.patch_features(maps)),
        lambda: inspector._route(features),
        flow,
        lambda: bank.distances(standardized),
        lambda: judge.scorer(statistics),
        lambda: anomaly_maps(predicted.patch_score, size=224, sigma=4.0),
        lambda: inspector.inspect(views),
    )
    return dict(zip(WAYS, runs, strict=True))


@pytest.mark.benchmark(group="judging images of 300×300 pixels")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("images", ["1 image", "16 images"])
def test_inspection(benchmark, inspector, images, way):
    pictures = list(photographs(int(images.split()[0])))
    benchmark.pedantic(parts_of(inspector, pictures)[way], rounds=15, warmup_rounds=3)


PASS = """
from moleflow.backbones.torchvision_repair import repair_torchvision
repair_torchvision()
import timm, torch
model = timm.create_model("{backbone}", features_only=True, out_indices={layers}).eval()
with torch.inference_mode():
    model(torch.zeros(1, 3, 224, 224))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("artifacts")
    write_artifacts(root, 5, PARAMS)
    Image.fromarray(photographs(1)[0]).save(root / "image.png")
    return root


@pytest.mark.benchmark(group="judging one image, from the start of the process")
@pytest.mark.parametrize("way", ["import of torch and timm, one pass", "moleflow predict"])
def test_start(benchmark, folder, way):
    command = ["-m", "moleflow", "predict", "image.png"] if way == "moleflow predict" else ["-c", PASS.format(**PARAMS)]

    def run():
        done = subprocess.run(
            [sys.executable, *command], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
        )
        assert done.returncode < 3

    benchmark.pedantic(run, rounds=7, warmup_rounds=1)
