"""recalibrate: thresholds and p-values of a product by new normal images; nothing is learned."""

import os
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from moleflow.backbones.extraction import extract
from moleflow.calibration.conformal import images_needed
from moleflow.compute.precision import PRECISIONS
from moleflow.config.errors import MoleflowError, told_plainly
from moleflow.config.params import Above, OpenFraction, load_params
from moleflow.features.prototype import Prototype, load_prototype
from moleflow.files.artifacts import digest, made_by, read_json, require_made_by
from moleflow.files.costs import measured
from moleflow.files.paths import Paths
from moleflow.files.record_file import Statistics, read_record
from moleflow.images.content import content_of
from moleflow.images.decoding import decode
from moleflow.images.index_table import read_index
from moleflow.images.listing import Listed, beside_images
from moleflow.images.orienting import oriented
from moleflow.images.reading import image_pixels
from moleflow.scoring.scorer import load_scorer
from moleflow.statistics.expert import Expert
from stages.backbone_keys import BackboneConfig
from stages.score import save_scores


class RecalibrationError(MoleflowError):
    """Images cannot calibrate a product."""


class RecalibrateConfig(BackboneConfig):
    """What this stage reads of params.yaml, besides the backbone and its view."""

    alarm_rate: OpenFraction
    alarm_for: str
    max_megapixels: Above


@told_plainly
def main(name: str) -> None:
    """Writes data/recalibrations/<product>.h5 and data/recalibrations/<product>.safetensors.

    Args:
        name: the product.

    Raises:
        RecalibrationError: there are too few images for the product's alarm rate, one is there twice, or some are
            of its training or test images, or labeled as defective.
        ImageError: one cannot be read.
        ArtifactError: its statistics are of another base, expert or prototype.
    """
    paths = Paths(Path())
    params = paths.product_params(name, "recalibrate")
    config, asked = load_params(RecalibrateConfig, params), read_json(params, "dvc repro check")
    listed = Listed.of(Path(asked["folder"]))
    images, notes = listed.images, beside_images([listed])
    needed = images_needed(config.alarm_rate)
    if len(images) < needed:
        few = (
            f"recalibrations.{name}: {asked['folder']} holds {len(images)} images, an alarm_rate of "
            f"{config.alarm_rate:g} needs {needed}"
        )
        raise RecalibrationError("; ".join([few, *notes]))
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        contents = pool.map(lambda path: content_of(decode(path, max_megapixels=config.max_megapixels)), images)
        pictures = dict(zip(images, contents, strict=True))
    digests = [digest(path) for path in images]
    _refuse_known(f"recalibrations.{name}", pictures, digests, read_index(paths.index.of(name)))
    scores, scorers = (paths.recalibrations / path.name for path in (paths.scores.of(name), paths.scorers.of(name)))
    with measured(paths.costs, "recalibrate", name, [scores, scorers]):
        record, (scorer, attributes) = read_record(paths.statistics.of(name)), load_scorer(paths.scorers.of(name))
        own = paths.prototype_of(name, asked["task"])
        current = made_by(paths, name, asked["task"], prototype=digest(own))
        require_made_by(paths.statistics.of(name), record.attributes, current)
        prototype = load_prototype(own, config.found)
        judging = {"dtype": PRECISIONS[attributes["precision"]], "orientations": attributes["orientations"]}
        expert = Expert(paths, name, asked["task"], prototype, **judging)
        found = _statistics(images, config, prototype, expert)
        promise = {"alarm_rate": config.alarm_rate, "alarm_for": config.alarm_for}
        save_scores(scores, scorers, scorer.recalibrated(found), record, promise, digests)


def _refuse_known(key: str, pictures: dict[Path, str], digests: list[str], table: pd.DataFrame) -> None:
    """Refuses images that would set a wrong threshold, or would make the test's false alarms those that set it.

    Images are compared by their pixels, since a copy that was saved again is the same image, and by their files, since
    another decoder may have read those of the table.
    """
    known = defaultdict(list)
    for row in table.itertuples():
        for each in {row.digest, row.content} - {""}:
            known[each].append(row)
    first: dict[str, Path] = {}
    used = []
    for (path, content), found in zip(pictures.items(), digests, strict=True):
        if first.setdefault(content, path) is not path:
            raise RecalibrationError(f"{key}: {path} is the same picture as {first[content]}; leave it out")
        rows = known[content] + known[found]
        for row in (row for row in rows if row.label):
            raise RecalibrationError(f"{key}: {path} is labeled as defective, {row.defect} ({row.path}); leave it out")
        used += [path] if any(row.split in ("train", "test") for row in rows) else []
    if used:
        raise RecalibrationError(
            f"{key}: {len(used)} of {len(pictures)} images are of the product's own training or test images, first "
            f"{used[0]}; give normal images that the expert did not learn from and the test does not count"
        )


def _statistics(images: list[Path], view: RecalibrateConfig, prototype: Prototype, expert: Expert) -> Statistics:
    """What the product's expert says of images, (F, N, H, W) each."""

    def read(path: Path) -> np.ndarray:
        pixels = image_pixels(path, view.loaded.side, view.resize, white=prototype.origin.white)
        return oriented(pixels, view.orient)

    parts: list[Statistics] = []
    with tqdm(total=len(images), desc=f"recalibrate {expert.name}", unit="image") as bar:
        for maps in extract(view.loaded, images, read, bar=bar):
            features = prototype.standardize(prototype.patch_features([layer.half() for layer in maps]))
            done = sum(part["nll"].shape[1] for part in parts)
            parts.append(expert.statistics(features, [str(each) for each in images[done : done + len(features)]]))
    return {key: np.concatenate([part[key] for part in parts], axis=1) for key in parts[0]}


if __name__ == "__main__":
    main(*sys.argv[1:])
