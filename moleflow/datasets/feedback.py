"""Labeled images: what users found out about images of a product after it was learned.

They lie in `normal/` and `defective/<kind>/` below a product's folder of feedback. They take part in no learning, and
the product's own images keep their splits.
"""

from collections.abc import Collection
from pathlib import Path

from moleflow.config.errors import MoleflowError
from moleflow.datasets.mistakes import links_to_folders, wrong_names
from moleflow.datasets.picture import Picture
from moleflow.datasets.sample import DatasetError, Sample, list_folders, normal_samples, permissions_told
from moleflow.files.split_names import FEEDBACK
from moleflow.images.listing import is_hidden, list_files, list_images

LABELS = "labels.csv"  # beside the two folders: source and digest of every image
TRACKED = ".dvc"  # what DVC adds to the name of a folder that it tracks


@permissions_told()
def feedback_samples(folder: Path) -> list[Sample]:
    """Lists the labeled images of a product.

    Args:
        folder: the product's folder of feedback, which need not exist.

    Returns:
        One sample per image, the normal ones first.

    Raises:
        DatasetError: a kind of defect is named like the normal images of a data set, or a folder cannot be read.
    """
    defective = folder / "defective"
    kinds = list_folders(defective) if defective.is_dir() else []
    if any(kind.name == "good" for kind in kinds):
        raise DatasetError(f"{defective / 'good'} is no kind of defect; normal images belong to {folder / 'normal'}")
    return normal_samples(list_images(folder / "normal"), FEEDBACK) + [
        Sample(path, FEEDBACK, 1, kind.name, None) for kind in kinds for path in list_images(kind)
    ]


def feedback_mistakes(folder: Path, products: Collection[str]) -> list[str]:
    """Lists labeled images that would not count.

    Args:
        folder: that of all products' feedback.
        products: names of the products that are listed.

    Returns:
        One sentence each; none if all is well.
    """
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    wrong = []
    for path in (path for path in found if not is_hidden(path)):
        own = path.with_name(path.name.removesuffix(TRACKED))
        if own.name not in products:
            wrong.append(f"{path} is feedback on no product that is listed; move it elsewhere, or name it like one")
        elif path != own:
            wrong += [] if own.exists() else [f"{own} is not here; `dvc pull {path}` fetches the images labeled there"]
        else:
            wrong += _misplaced(own)
    return wrong


def _misplaced(folder: Path) -> list[str]:
    """Names what would not count of a product's feedback: something in its place, a link, a file."""
    if not folder.is_dir():
        return [f"{folder} is no folder; move it elsewhere, since images of {folder.name} are labeled in its place"]
    try:
        with permissions_told():
            labeled = [sample.path for sample in feedback_samples(folder)]
            stray = [path for path in list_files(folder) if path not in {*labeled, folder / LABELS}]
            linked = links_to_folders(folder)
    except MoleflowError as error:
        return [str(error)]
    if linked:
        return [f"{linked[0]} is a link to a folder, whose images would not count; put the folder itself there"]
    named = [str(mistake) for mistake in wrong_names(labeled)]
    named += [f"{path} leads to a file that does not exist; remove the link" for path in labeled if not path.exists()]
    if named:
        return named
    return [f"{stray[0]} is no labeled image; use `moleflow label`, or move it elsewhere"] if stray else []


def wrong_feedback(labeled: list[Picture], used: list[Picture]) -> list[MoleflowError]:
    """What is wrong with labeled images: files that cannot be read, and pictures that are known already.

    Args:
        labeled: the labeled images.
        used: the product's own images.

    Returns:
        One error each.
    """
    wrong: list[MoleflowError] = [picture.unreadable for picture in labeled if picture.unreadable]
    known = {picture.content: picture for picture in used}
    for picture in (picture for picture in labeled if not picture.unreadable):
        twin = known.setdefault(picture.content, picture)
        if twin is not picture:
            wrong.append(DatasetError(f"{picture} is the same picture as {twin}; remove the labeled one"))
    return wrong
