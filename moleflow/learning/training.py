"""Learning densities: the base with the first task's experts, or one later expert alone."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import AfterValidator, Field, PlainValidator, model_validator
from torch import Tensor, nn
from torch.func import functional_call
from tqdm import tqdm

from moleflow.compute.precision import PRECISIONS, matrix_products
from moleflow.config.errors import MoleflowError
from moleflow.config.params import Above, Config, Count, Fraction, NonNegative, Positive
from moleflow.config.registry import choose
from moleflow.features.image_features import ImageFeatures
from moleflow.flow.density import Density, decays
from moleflow.flow.reports import columns, watching
from moleflow.learning.batches import Drawn, Windows, batches_of
from moleflow.learning.losses import Seen, Weight, objective


class TrainingError(MoleflowError):
    """Training diverged."""


def _weight(value: Any) -> Any:
    both = value if isinstance(value, list) else [value, value]
    if len(both) != 2 or any(type(each) not in (int, float) or not 0 <= each <= 1 for each in both):
        raise ValueError("must be a number from 0 to 1, or two of them, the first and the last")
    return value


def _rising(value: list[float]) -> list[float]:
    if value != sorted(value):
        raise ValueError("must be the smallest noise, then the largest")
    return value


class Recipe(Config):
    """How to train; the fields are keys of params.yaml.

    Attributes:
        epochs: passes over the features.
        warmup_epochs: epochs of linear warm-up, of later tasks and of the first alike.
        lr: highest learning rate of AdamW; a cosine takes it to 1 %.
        position_lr: what it is multiplied by for the position code.
        batch_size: images per step.
        feature_memory: GiB of features held at once; if there are more, windows are read from the store in turn.
        precision: arithmetic of the matrix products, a name in `PRECISIONS`.
        tail_weight, tail_ratio, lambda_logdet: see `tail_aware_loss`.
        identity_weight, center_weight, dsm_weight, dsm_clean_weight, margin_weight: of the terms in `TERMS`; 0 for
            none. Two numbers for dsm_weight are its first and its last.
        focal_gamma: see `focal`; 0 for none.
        dsm_sigma, dsm_projections: see `score_matching`.
        weight_decay: AdamW's, of the tensors that `decays` names; 0 for none.
        grad_clip: largest norm of the gradient of a step, over all tensors; 0 for no limit.
        seed: order of the batches, and noise.
    """

    epochs: Positive
    warmup_epochs: NonNegative
    lr: Above
    position_lr: Above
    batch_size: Positive
    feature_memory: Above
    precision: str
    tail_weight: Fraction
    tail_ratio: Annotated[float, Field(gt=0, le=1)]
    lambda_logdet: NonNegative
    identity_weight: NonNegative
    focal_gamma: NonNegative
    center_weight: NonNegative
    dsm_weight: Annotated[Weight, PlainValidator(_weight)]
    dsm_sigma: Annotated[list[Above], Field(min_length=2, max_length=2), AfterValidator(_rising)]
    dsm_projections: Count
    dsm_clean_weight: NonNegative
    margin_weight: NonNegative
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
    painted: Mapping[str, ImageFeatures] | None = None,
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
        painted: per product features of its images with painted defects, for `margin_weight` alone; None for none.

    Returns:
        One row per epoch: epoch; loss and nll, both in nats per patch and channel; the means of the terms with a
        weight, in nats per patch, and of what the density's modules report; lr, of the last step.

    Raises:
        TrainingError: the loss is not finite; names product, epoch and step. Or a margin is asked for without painted
            images.
    """
    bare = [product for product in features if recipe.margin_weight and product not in (painted or {})]
    if bare:
        raise TrainingError(
            f"{bare[0]}: margin_weight needs images with painted defects, made of those that are learned from; "
            "raise painted_images"
        )
    generator = torch.Generator().manual_seed(recipe.seed)
    apart = torch.Generator().manual_seed(recipe.seed)  # noise leaves the order of the batches as it is
    memory = recipe.feature_memory / len(features) / (2 if painted else 1)
    windows = {product: Windows(images, memory) for product, images in features.items()}
    defective = {product: Drawn(images, memory) for product, images in (painted or {}).items()}
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
    with watching(density) as seen, tqdm(total=steps, desc=f"train {label}", unit="step", mininterval=1) as bar:
        for epoch in range(recipe.epochs):
            history: list[dict[str, Tensor]] = []  # on the device until the epoch ends
            names: list[str] = []
            for product, batch in batches_of(windows, recipe.batch_size, generator):
                step = training_step(
                    density,
                    experts[product],
                    batch,
                    tensors,
                    optimizer,
                    recipe,
                    progress=schedule.last_epoch / steps,
                    generator=apart,
                    painted=defective[product].draw(len(batch), apart) if product in defective else None,
                )
                history.append(step | columns(seen))
                seen.clear()
                rate = schedule.get_last_lr()[0]
                schedule.step()
                names.append(product)
                bar.update()
            curve.append({"epoch": epoch + 1, **_means(epoch, history, names, channels), "lr": float(f"{rate:.6g}")})
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
        {
            "params": [
                tensor
                for name, tensor in trained
                if name.startswith("position.") == position and decays(tensor) == decaying
            ],
            "lr": recipe.lr * (recipe.position_lr if position else 1.0),
            "weight_decay": recipe.weight_decay if decaying else 0.0,
        }
        for position in (False, True)
        for decaying in (True, False)
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr)


class _Judged(nn.Module):
    """A density that is judged by the objective while an expert's tensors stand in its place."""

    def __init__(self, density: Density, recipe: Recipe) -> None:
        super().__init__()
        self.density, self.recipe = density, recipe

    def forward(
        self, batch: Tensor, painted: Tensor | None, progress: float, generator: torch.Generator | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and what the learning curve tells of it."""
        with matrix_products(batch.device, self.recipe.dtype):
            aligned, log_det = self.density.align(batch)
            likelihood = self.density.judge(aligned, log_det)
            defective = None if painted is None else self.density(painted)
        seen = Seen(self.density, aligned, likelihood, likelihood.nll, defective, generator)
        loss, terms = objective(seen, vars(self.recipe), progress)
        return loss, {"loss": loss, "nll": seen.nll.mean(), **terms}


def training_step(
    density: Density,
    expert: dict[str, Tensor],
    batch: Float[Tensor, "B H W C"],
    learning: list[Tensor],
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    *,
    generator: torch.Generator | None = None,
    progress: float = 0.0,
    painted: Float[Tensor, "P H W C"] | None = None,
) -> dict[str, Tensor]:
    """One step: forward, loss, backward, clipping, update. It never waits for a number of the device.

    Args:
        density: base and expert.
        expert: the expert's tensors by name, put in the density's place.
        batch: standardized patch features of one product, (B, H, W, C).
        learning: the tensors that learn.
        optimizer: of these tensors.
        recipe: how to train.
        generator: draws noise, on the processor; None for torch's own.
        progress: share of the training's steps that are done, in [0, 1).
        painted: features of images of the product with painted defects, (P, H, W, C), P at most B; None for none.

    Returns:
        Numbers of before the step: loss, mean nll and the terms with a weight, in nats per patch.
    """
    tensors = {f"density.{name}": tensor for name, tensor in expert.items()}
    defective = None if painted is None else painted.float()
    loss, told = functional_call(_Judged(density, recipe), tensors, (batch.float(), defective, progress, generator))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learning, recipe.grad_clip or math.inf)
    optimizer.step()
    return {name: value.detach() for name, value in told.items()}


def _means(epoch: int, history: list[dict[str, Tensor]], names: list[str], channels: int) -> dict[str, float]:
    """Means over the steps of an epoch."""
    losses = torch.stack([torch.stack([step["loss"], step["nll"]]) for step in history])  # (steps, 2)
    finite = losses.isfinite().all(1)
    if not finite.all():
        step = int((~finite).nonzero()[0])
        raise TrainingError(
            f"{names[step]}: the loss is not finite in epoch {epoch + 1}, step {step + 1}; "
            "lower lr or couplings, or set precision: fp32"
        )
    loss, nll = (losses.mean(0) / channels).tolist()
    told = [name for name in history[0] if name not in ("loss", "nll")]
    means = torch.stack([torch.stack([step[name].float() for step in history]).mean() for name in told]).tolist()
    rounded = {name: float(f"{mean:.6g}") for name, mean in zip(told, means, strict=True)}
    return {"loss": round(loss, 6), "nll": round(nll, 6), **rounded}
