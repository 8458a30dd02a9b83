"""Trees of images as users have them, for the tests of inputs."""

import numpy as np
from PIL import Image
from samples import SIZE, save_image, save_mask

from moleflow.datasets.index import build_index

SETTINGS = {
    "layout": "mvtec",
    "calibration_fraction": 0.2,
    "duplicates": "refuse",
    "unreadable": "refuse",
    "bit_depth": "auto",
    "max_megapixels": 200.0,
    "contamination": 0.0,
}


def picture(path, seed=0, size=(20, 16), **options):
    """Writes a random picture and returns its pixels, (H, W, 3)."""
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def built(root, layout="mvtec", **changes):
    return build_index(root, **{**SETTINGS, "layout": layout, **changes})


def index(root, layout="mvtec", **changes):
    return built(root, layout, **changes).table


def notes(root, layout="mvtec", **changes):
    return built(root, layout, **changes).overview.notes


def labeled(root, rows, columns="image,label"):
    for number in range(10):
        picture(root / f"normal/{number}.png", number)
    for number in range(len(rows)):
        picture(root / f"test/{number}.png", 100 + number)
    lines = [columns, *(f"test/{number}.png,{row}" for number, row in enumerate(rows))]
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def save_images(folder, count, seed, suffix="png"):
    for number in range(count):
        save_image(folder / f"{number:03d}.{suffix}", SIZE, seed + number)


def tree_mvtec(root):
    save_images(root / "train/good", 10, 0)
    save_images(root / "test/good", 2, 20)
    save_images(root / "test/crack", 3, 30)
    for number in range(3):
        save_mask(root / f"ground_truth/crack/{number:03d}_mask.png")
    return root


def tree_btad(root):
    """As published: product 01 has .bmp images with .png masks, 03 .bmp masks."""
    save_images(root / "train/ok", 10, 0, "bmp")
    save_images(root / "test/ok", 2, 20, "bmp")
    save_images(root / "test/ko", 3, 30, "bmp")
    for number, suffix in enumerate(("png", "bmp", "bmp")):
        save_mask(root / f"ground_truth/ko/{number:03d}.{suffix}")
    return root


def tree_mvtec3d(root):
    save_images(root / "train/good/rgb", 8, 0)
    save_images(root / "validation/good/rgb", 2, 10)
    save_images(root / "test/good/rgb", 2, 20)
    save_images(root / "test/crack/rgb", 3, 30)
    for defect, count in (("good", 2), ("crack", 3)):
        for number in range(count):
            save_mask(root / f"test/{defect}/gt/{number:03d}.png", 0 if defect == "good" else 255)
            (root / f"test/{defect}/xyz").mkdir(exist_ok=True)
            (root / f"test/{defect}/xyz/{number:03d}.tiff").write_bytes(b"a point cloud, which nobody reads")
    return root


def tree_mvtec_loco(root):
    save_images(root / "train/good", 8, 0)
    save_images(root / "validation/good", 2, 10)
    save_images(root / "test/good", 2, 20)
    save_images(root / "test/crack", 3, 30)
    for number in range(3):
        save_mask(root / f"ground_truth/crack/{number:03d}/000.png")
    return root


def tree_visa(root):
    """Masks hold small numbers of kinds of defect; the csv lists other products as well."""
    images, masks = root / "Data/Images", root / "Data/Masks/Anomaly"
    lines = ["object,split,label,image,mask", "other,train,normal,other/Data/Images/Normal/0.JPG,"]
    for number in range(12):
        split = "train" if number < 10 else "test"
        save_image(images / f"Normal/{number:04d}.JPG", SIZE, number)
        lines.append(f"{root.name},{split},normal,{root.name}/Data/Images/Normal/{number:04d}.JPG,")
    for number in range(3):
        save_image(images / f"Anomaly/{number:03d}.JPG", SIZE, 30 + number)
        save_mask(masks / f"{number:03d}.png", 1 + number)
        below = f"{root.name}/Data"
        lines.append(
            f"{root.name},test,anomaly,{below}/Images/Anomaly/{number:03d}.JPG,{below}/Masks/Anomaly/{number:03d}.png"
        )
    (root.parent / "split_csv").mkdir(exist_ok=True)
    (root.parent / "split_csv/1cls.csv").write_text("\n".join(lines) + "\n")
    return root


def tree_folder(root):
    save_images(root / "normal", 10, 0)
    save_images(root / "test/good", 2, 20)
    save_images(root / "test/crack", 3, 30)
    for number in range(3):
        save_mask(root / f"masks/crack/{number:03d}.png")
    return root


def with_labels(root):
    """The plainest layout with a csv instead of sub-folders."""
    save_images(root / "normal", 10, 0)
    save_images(root / "test", 5, 20)
    lines = ["image,label,mask,defect"]
    for number, label in enumerate(("0", "good", "1", "ng", "NG")):
        mask = f"masks/{number}.png" if number > 1 else ""
        if mask:
            save_mask(root / mask)
        lines.append(f"test/{number:03d}.png,{label},{mask},{'crack' if number > 2 else ''}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


TREES = {name.removeprefix("tree_"): tree for name, tree in list(globals().items()) if name.startswith("tree_")}
