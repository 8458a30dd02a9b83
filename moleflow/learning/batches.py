"""Batches of several products, read from features that may not fit into memory."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.features.image_features import ImageFeatures, images_within
from moleflow.files.feature_store import SHARD


class Windows:
    """A product's features, as many at a time as fit into memory."""

    def __init__(self, features: ImageFeatures, memory: float) -> None:
        """Plans the windows; one that holds everything stays in memory.

        Args:
            features: standardized patch features, (N, H, W, C).
            memory: GiB that a window may take.
        """
        most = images_within(features, memory)
        self.features, count = features, len(features)
        self.sizes = [most] * (count // most) + [count % most] * (count % most > 0)
        self.held: Tensor | None = None

    def rows(self, generator: torch.Generator) -> list[Tensor]:
        """Row numbers of the windows of an epoch: shards in random order, increasing within a window.

        Args:
            generator: draws the order.

        Returns:
            Row numbers of each window.
        """
        if len(self.sizes) == 1:
            return [torch.arange(len(self.features))]
        shards = torch.arange(len(self.features)).split(SHARD)
        shuffled = torch.cat([shards[index] for index in torch.randperm(len(shards), generator=generator)])
        return [window.sort().values for window in shuffled.split(self.sizes)]

    def load(self, rows: Tensor) -> Tensor:
        """Features of a window; the window before it is freed first.

        Args:
            rows: its row numbers.

        Returns:
            Features, (n, H, W, C).
        """
        if self.held is None or len(self.sizes) > 1:
            self.held = None
            self.held = self.features[rows.numpy()]
        return self.held


class Drawn:
    """A product's images with painted defects, a few at a time at random."""

    def __init__(self, features: ImageFeatures, memory: float) -> None:
        """Reads them at once, if they fit into memory.

        Args:
            features: standardized patch features, (N, H, W, C).
            memory: GiB that they may take; if there are more, each draw reads its own.
        """
        fits = len(features) <= images_within(features, memory)
        self.features = features[: len(features)] if fits else features

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "n H W C"]:
        """Draws images, with replacement.

        Args:
            count: how many.
            generator: draws them, on the processor.

        Returns:
            Features, (count, H, W, C).
        """
        rows = torch.randint(len(self.features), (count,), generator=generator)
        return self.features[rows.to(self.features.device) if isinstance(self.features, Tensor) else rows.numpy()]


def batches_of(
    windows: dict[str, Windows], batch_size: int, generator: torch.Generator
) -> Iterator[tuple[str, Float[Tensor, "B H W C"]]]:
    """Every image once, each batch from one product, products and the images of a window mixed at random.

    Args:
        windows: of each product.
        batch_size: most images in a batch.
        generator: draws the order.

    Yields:
        A product and features of some of its images, (B, H, W, C).
    """
    planned = {product: product_windows.rows(generator) for product, product_windows in windows.items()}
    for turn in range(max(len(rows) for rows in planned.values())):
        loaded = {product: windows[product].load(rows[turn]) for product, rows in planned.items() if turn < len(rows)}
        batches = [
            (product, rows)
            for product, images in loaded.items()
            for rows in torch.randperm(len(images), generator=generator).to(images.device).split(batch_size)
        ]
        for index in torch.randperm(len(batches), generator=generator):
            product, rows = batches[index]
            yield product, loaded[product][rows]
        loaded.clear()
