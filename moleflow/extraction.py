"""Running the backbone over images while the next ones are decoded."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from moleflow.backbones import Backbone
from moleflow.datasets.images import image_pixels


def extract(
    backbone: Backbone, paths: list[str], *, img_size: int, resize: str, batch_size: int, bar: tqdm
) -> Iterator[list[Tensor]]:
    """Yields the raw maps of the images, batch by batch.

    Args:
        backbone: the frozen backbone.
        paths: images, in the order wanted.
        img_size: side of the backbone's view in pixels.
        resize: "stretch" or "crop".
        batch_size: images per forward pass.
        bar: progress, counted in images.

    Yields:
        One map per layer, each (B, C_l, H_l, W_l).
    """

    def load(chosen: list[str]) -> Tensor:
        return torch.from_numpy(np.stack([image_pixels(Path(path), img_size, resize) for path in chosen]))

    chunks = [paths[start : start + batch_size] for start in range(0, len(paths), batch_size)]
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = deque(pool.submit(load, chunk) for chunk in chunks[:1])
        for upcoming in [*chunks[1:], None]:
            images = waiting.popleft().result()
            if upcoming is not None:
                waiting.append(pool.submit(load, upcoming))
            yield backbone(images.float())
            bar.update(len(images))
