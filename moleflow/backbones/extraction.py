"""Running the backbone over images that are decoded on all cores."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from moleflow.backbones.backbone import Backbone

Image = TypeVar("Image")


def extract(
    backbone: Backbone, images: Sequence[Image], read: Callable[[Image], np.ndarray], *, bar: tqdm
) -> Iterator[list[Tensor]]:
    """Computes the raw maps of images, batch by batch.

    Args:
        backbone: the frozen backbone.
        images: arguments of `read`, one per image, in the order wanted.
        read: returns RGB values 0..255, (3, S, S), uint8; called from several threads, in any order.
        bar: progress, counted in images.

    Yields:
        One map per layer, each (B, C_l, H_l, W_l).
    """
    # A processor is fastest with few images at a time, whose maps stay in its caches, and decoding ahead would only
    # take its cores away; an accelerator needs many, decoded ahead.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    batch_size, ahead = (4, 0) if backbone.device.type == "cpu" else (16, 1)
    together = batch_size * -(-cores // batch_size)  # whole batches, an image for every core to decode
    chunks = [images[start : start + together] for start in range(0, len(images), together)]
    with ThreadPoolExecutor(cores) as pool:
        decode = pool.map if len(images) > 1 else map  # for a single image no thread is started
        submitted = (decode(read, chunk) for chunk in chunks)  # lazily: a chunk is decoded when it is taken
        waiting = deque(islice(submitted, 1 + ahead))
        while waiting:
            decoded = torch.from_numpy(np.stack(list(waiting.popleft())))
            for pixels in decoded.split(batch_size):
                yield backbone(pixels)
                bar.update(len(pixels))
            waiting.extend(islice(submitted, 1))
