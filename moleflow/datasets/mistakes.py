"""What forbids to use a product's folder; each sentence names the file and the way out."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from moleflow.config.errors import MoleflowError
from moleflow.datasets.picture import Picture
from moleflow.datasets.sample import DatasetError, Sample
from moleflow.images.listing import is_hidden

MASK_TOLERANCE = 0.01  # of a side, a pixel at least, by which a mask's size may differ from its image's; it is resized
MIN_NORMAL = 5
MIN_TRAIN = 2


def linked_folders(root: Path) -> list[MoleflowError]:
    """Links to folders: DVC follows a link to a file, and to the product's folder, but not one to a folder below it.

    Args:
        root: the product's folder.

    Returns:
        At most one mistake.
    """
    linked = links_to_folders(root)
    advice = (
        "a link to a folder, whose images could change without DVC noticing; put the folder itself there, or links to "
        "its files, or give the folder as the product's path"
    )
    return [DatasetError(f"{', '.join(map(str, linked))}: {advice}")] if linked else []


def links_to_folders(root: Path) -> list[Path]:
    """Lists the links to folders below a folder, hidden ones apart.

    Args:
        root: the folder, which need not exist and may be a link.

    Returns:
        Their paths, sorted.
    """
    found = [path for path in sorted(root.rglob("*")) if path.is_symlink() and path.is_dir()] if root.is_dir() else []
    return [path for path in found if not any(is_hidden(Path(part)) for part in path.relative_to(root).parts)]


def wrong_numbers(root: Path, normal: list[Sample], test: list[Sample]) -> list[MoleflowError]:
    """Too few normal images, no test image, an image listed twice.

    Args:
        root: the product's folder.
        normal: samples to learn from and for calibration.
        test: samples of the test.

    Returns:
        The mistakes.
    """
    wrong: list[MoleflowError] = []
    if len(normal) < MIN_NORMAL:
        few = f"{root} has {len(normal)} normal training images; {MIN_NORMAL} are needed, 100 or more are good"
        wrong.append(DatasetError(few))
    if not test:
        wrong.append(DatasetError(f"{root} has no test images; add at least one normal one"))
    counted = Counter(sample.path for sample in normal + test)
    twice = [str(path) for path, count in counted.items() if count > 1]
    if twice:
        wrong.append(DatasetError(f"{', '.join(twice)} is listed more than once; keep one line of it"))
    return wrong


def wrong_paths(root: Path, samples: list[Sample]) -> list[MoleflowError]:
    """Names that a table cannot hold, and files outside the folder that DVC follows.

    Args:
        root: the product's folder.
        samples: all that the layout lists.

    Returns:
        The mistakes.
    """
    wrong: list[MoleflowError] = []
    for path in (path for sample in samples for path in (sample.path, sample.mask) if path is not None):
        named = wrong_names([path])
        wrong += named
        if not (named or path.is_relative_to(root)):
            wrong.append(
                DatasetError(f"{path} lies outside {root}, where DVC does not see it change; put it into the folder")
            )
    return wrong


def wrong_names(paths: Iterable[Path]) -> list[MoleflowError]:
    """Names of files and folders that a table cannot hold.

    Args:
        paths: with the folders that they lie in.

    Returns:
        The mistakes.
    """
    wrong: list[MoleflowError] = []
    for path in paths:
        text = str(path).encode("utf-8", "backslashreplace").decode()
        if text != str(path):
            wrong.append(DatasetError(f"{text}: the file's name is not UTF-8; rename it"))
        elif any(character < " " for character in text):
            wrong.append(DatasetError(f"{text!r}: control characters in a file's name; rename it"))
    return wrong


def wrong_masks(pictures: list[Picture]) -> list[MoleflowError]:
    """Masks of another size than their images.

    Args:
        pictures: pictures that can be read.

    Returns:
        The mistakes.
    """
    return [
        DatasetError(f"{two_sizes(picture)}; redraw the mask at the image's size")
        for picture in pictures
        if picture.mask_size is not None
        and any(
            abs(own - side) > max(1, round(MASK_TOLERANCE * side))
            for own, side in zip(picture.mask_size, picture.size, strict=True)
        )
    ]


def all_alike(root: Path, pictures: list[Picture]) -> list[MoleflowError]:
    """All images to learn from are the same picture.

    Args:
        root: the product's folder.
        pictures: pictures that can be read.

    Returns:
        At most one mistake.
    """
    train = [picture.content for picture in pictures if picture.split == "train"]
    if len(train) < MIN_TRAIN or len(set(train)) > 1:
        return []
    return [
        DatasetError(
            f"{root}: all {len(train)} images to learn from are the same picture; 2 different ones are needed, "
            "100 or more are good"
        )
    ]


def too_few(
    root: Path, used: list[Picture], listed: list[Picture], normal: int, calibration_fraction: float
) -> list[MoleflowError]:
    """Too few images are left to learn from, or none for calibration or the test.

    Args:
        root: the product's folder.
        used: pictures that are left.
        listed: all that the layout lists.
        normal: how many normal images the folder has.
        calibration_fraction: share of them held out for calibration.

    Returns:
        The mistakes.
    """
    left = Counter(picture.split for picture in used)
    train = left["train"]
    if normal < MIN_NORMAL:
        return []  # already told
    if train >= MIN_TRAIN:
        return [
            DatasetError(f"{root}: no {split} image is left that can be used; one is needed")
            for split in ("calibration", "test")
            if not left[split] and any(picture.split == split for picture in listed)
        ]
    return [
        DatasetError(
            f"{root}: {train} of {normal} normal images is left to learn from, {MIN_TRAIN} are needed and 100 or more "
            f"are good; lower calibration_fraction ({calibration_fraction}) or add images"
        )
    ]


def two_sizes(picture: Picture) -> str:
    """Names the sizes of an image and its mask.

    Args:
        picture: a picture with a mask.

    Returns:
        The beginning of a sentence.
    """
    (mask_width, mask_height), (width, height) = picture.mask_size or (0, 0), picture.size
    sample = picture.sample
    return f"{sample.mask} has {mask_width}×{mask_height} pixels, its image {sample.path} {width}×{height}"
