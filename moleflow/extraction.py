"""Running the backbone over images while the next ones are decoded."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from moleflow.backbones import Backbone


def extract(
    backbone: Backbone, images: list[str], read: Callable[[str], np.ndarray], *, batch_size: int, bar: tqdm
) -> Iterator[list[Tensor]]:
    """Yields the raw maps of the images, batch by batch.

    Args:
        backbone: the frozen backbone.
        images: their paths or names, in the order wanted.
        read: path or name -> RGB values 0..255, (3, S, S), uint8.
        batch_size: images per forward pass.
        bar: progress, counted in images.

    Yields:
        One map per layer, each (B, C_l, H_l, W_l).
    """

    def load(chosen: list[str]) -> Tensor:
        return torch.from_numpy(np.stack([read(image) for image in chosen]))

    chunks = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = deque(pool.submit(load, chunk) for chunk in chunks[:1])
        for upcoming in [*chunks[1:], None][: len(chunks)]:  # none at all without images
            pixels = waiting.popleft().result()
            if upcoming is not None:
                waiting.append(pool.submit(load, upcoming))
            yield backbone(pixels.float())
            bar.update(len(pixels))
