"""Learning densities: the base with the first task's experts, or one later expert alone."""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor
from torch.func import functional_call
from tqdm import tqdm

from moleflow.compute.precision import PRECISIONS, matrix_products
from moleflow.config.errors import MoleflowError
from moleflow.config.params import Above, Config, Count, Fraction, NonNegative, Positive
from moleflow.config.registry import call, choose
from moleflow.features.image_features import ImageFeatures, images_within
from moleflow.files.feature_store import SHARD
from moleflow.flow.density import Density, decays
from moleflow.learning.losses import tail_aware_loss


class TrainingError(MoleflowError):
    """Training diverged."""


class Recipe(Config):
    """How to train; the fields are keys of params.yaml.

    Attributes:
        epochs: passes over the features.
        warmup_epochs: epochs of linear warm-up, of later tasks and of the first alike.
        lr: highest learning rate of AdamW; a cosine takes it to 1 %.
        batch_size: images per step.
        feature_memory: GiB of features held at once; if there are more, windows are read from the store in turn.
        precision: arithmetic of the matrix products, a name in `PRECISIONS`.
        tail_weight, tail_ratio, lambda_logdet: see `tail_aware_loss`.
        weight_decay: AdamW's, of the tensors that `decays` names; 0 for none.
        grad_clip: largest norm of the gradient of a step, over all tensors; 0 for no limit.
        seed: order of the batches.
    """

    epochs: Positive
    warmup_epochs: NonNegative
    lr: Above
    batch_size: Positive
    feature_memory: Above
    precision: str
    tail_weight: Fraction
    tail_ratio: Annotated[float, Field(gt=0, le=1)]
    lambda_logdet: NonNegative
    weight_decay: NonNegative
    grad_clip: NonNegative
    seed: Count

    @model_validator(mode="after")
    def _warms_up_before_the_end(self) -> "Recipe":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs: {self.warmup_epochs:g} must be below epochs: {self.epochs}")
        return self

    @property
    def dtype(self) -> torch.dtype:
        """Arithmetic of the matrix products."""
        return choose(PRECISIONS, self.precision, "precision")


def learning_rate_factor(step: int, warmup_steps: int, steps: int) -> float:
    """Linear warm-up, then a cosine from 1 to 0.01.

    Args:
        step: number of the step, from 0 on.
        warmup_steps: steps of the warm-up.
        steps: all steps.

    Returns:
        What the highest learning rate is multiplied by, in (0, 1].
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))


def train(
    density: Density,
    experts: dict[str, dict[str, Tensor]],
    features: Mapping[str, ImageFeatures],
    trained: list[tuple[str, Tensor]],
    recipe: Recipe,
    *,
    label: str,
) -> list[dict[str, int | float]]:
    """Trains tensors of a density in place, on one or several products at once.

    Args:
        density: supplies the computation, and every tensor that no expert replaces; all tensors and features lie on
            one device.
        experts: per product the expert's tensors by name, put in the density's place for its batches.
        features: per product its standardized patch features, (N, H, W, C).
        trained: the tensors that learn, each with its name in the density; all others stay as they are.
        recipe: how to train.
        label: shown beside the progress bar.

    Returns:
        One row per epoch: epoch, loss and nll, both in nats per patch and channel.

    Raises:
        TrainingError: the loss is not finite; names product, epoch and step.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    windows = {product: _Windows(images, recipe.feature_memory / len(features)) for product, images in features.items()}
    sizes = [size for product_windows in windows.values() for size in product_windows.sizes]
    steps_per_epoch = sum(math.ceil(size / recipe.batch_size) for size in sizes)
    steps, warmup = recipe.epochs * steps_per_epoch, round(recipe.warmup_epochs * steps_per_epoch)
    tensors = [tensor for _, tensor in trained]
    density.requires_grad_(False)
    for tensor in tensors:
        tensor.requires_grad_(True)
    optimizer = make_optimizer(trained, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, warmup, steps))
    curve = []
    channels = next(iter(features.values())).shape[-1]
    with tqdm(total=steps, desc=f"train {label}", unit="step", mininterval=1) as bar:
        for epoch in range(recipe.epochs):
            history: list[Tensor] = []  # on the device until the epoch ends
            names: list[str] = []
            for product, batch in _batches(windows, recipe.batch_size, generator):
                history.append(training_step(density, experts[product], batch, tensors, optimizer, recipe))
                schedule.step()
                names.append(product)
                bar.update()
            curve.append(_epoch_row(epoch, history, names, channels))
            bar.set_postfix(nll=curve[-1]["nll"])
    for tensor in tensors:
        tensor.requires_grad_(False)
    return curve


def make_optimizer(trained: list[tuple[str, Tensor]], recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW over the tensors that learn; those that `decays` names are pulled toward zero.

    Args:
        trained: the tensors, each with its name in the density.
        recipe: how to train.

    Returns:
        The optimizer.
    """
    groups = [
        {"params": [tensor for name, tensor in trained if decays(name, tensor)], "weight_decay": recipe.weight_decay},
        {"params": [tensor for name, tensor in trained if not decays(name, tensor)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr)


def training_step(
    density: Density,
    expert: dict[str, Tensor],
    batch: Float[Tensor, "B H W C"],
    learning: list[Tensor],
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
) -> Float[Tensor, "2"]:
    """One step: forward, loss, backward, clipping, update. It never waits for a number of the device.

    Args:
        density: base and expert.
        expert: the expert's tensors by name, put in the density's place.
        batch: standardized patch features of one product, (B, H, W, C).
        learning: the tensors that learn.
        optimizer: of these tensors.
        recipe: how to train.

    Returns:
        Loss and mean nll before the step, in nats per patch.
    """
    with matrix_products(batch.device, recipe.dtype):
        likelihood = functional_call(density, expert, (batch.float(),))
    nll = likelihood.nll
    loss = call(tail_aware_loss, vars(recipe), nll, likelihood.log_det)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learning, recipe.grad_clip or math.inf)
    optimizer.step()
    return torch.stack([loss.detach(), nll.detach().mean()])


class _Windows:
    """A product's features, as many at a time as fit into memory."""

    def __init__(self, features: ImageFeatures, memory: float) -> None:
        """Plans the windows; one that holds everything stays in memory."""
        most = images_within(features, memory)
        self.features, count = features, len(features)
        self.sizes = [most] * (count // most) + [count % most] * (count % most > 0)
        self.held: Tensor | None = None

    def rows(self, generator: torch.Generator) -> list[Tensor]:
        """Row numbers of the windows of an epoch: shards in random order, increasing within a window."""
        if len(self.sizes) == 1:
            return [torch.arange(len(self.features))]
        shards = torch.arange(len(self.features)).split(SHARD)
        shuffled = torch.cat([shards[index] for index in torch.randperm(len(shards), generator=generator)])
        return [window.sort().values for window in shuffled.split(self.sizes)]

    def load(self, rows: Tensor) -> Tensor:
        """Features of a window; the window before it is freed first."""
        if self.held is None or len(self.sizes) > 1:
            self.held = None
            self.held = self.features[rows.numpy()]
        return self.held


def _batches(
    windows: dict[str, _Windows], batch_size: int, generator: torch.Generator
) -> Iterator[tuple[str, Float[Tensor, "B H W C"]]]:
    """Every image once, each batch from one product, products and the images of a window mixed at random."""
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


def _epoch_row(epoch: int, history: list[Tensor], names: list[str], channels: int) -> dict[str, int | float]:
    losses = torch.stack(history)  # (steps, 2)
    finite = losses.isfinite().all(1)
    if not finite.all():
        step = int((~finite).nonzero()[0])
        raise TrainingError(
            f"{names[step]}: the loss is not finite in epoch {epoch + 1}, step {step + 1}; "
            "lower lr or couplings, or set precision: fp32"
        )
    loss, nll = (losses.mean(0) / channels).tolist()
    return {"epoch": epoch + 1, "loss": round(loss, 6), "nll": round(nll, 6)}
