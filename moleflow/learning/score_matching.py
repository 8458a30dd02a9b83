"""Denoising score matching: the gradient of the log-likelihood at noisy patches should point back to the clean ones."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.flow.affine import twice_differentiable
from moleflow.flow.density import Density

STEP = 0.1  # of a central difference, in units of the noise


def denoising(
    density: Density,
    aligned: Float[Tensor, "B H W C"],
    *,
    sigmas: list[float],
    projections: int,
    generator: torch.Generator | None,
) -> Float[Tensor, ""]:
    """Mean over patches of ‖σ·∇log p(a + σε) + ε‖², or of its square along random directions.

    Every image has one σ, drawn log-uniformly; multiplied by σ, small noise does not drown large noise. It is computed
    in fp32, whatever the precision: differences of likelihoods need their last digits.

    Args:
        density: base and expert.
        aligned: a, aligned features, (B, H, W, C); the gradient reaches the alignment through them.
        sigmas: smallest and largest σ.
        projections: directions per patch, each of length 1, by central differences; 0 for the whole gradient, which
            takes two or three times the time and memory.
        generator: draws noise and directions, on the processor; None for torch's own.

    Returns:
        The loss, a scalar without a unit.

    Source: Vincent, "A connection between score matching and denoising autoencoders", Neural Computation 2011; Song et
    al., "Sliced score matching", UAI 2019; docs/method.md, Loss and training.
    """
    aligned = aligned.float()

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(aligned.device)

    low, high = (math.log(sigma) for sigma in sigmas)
    places = torch.rand(len(aligned), 1, 1, 1, generator=generator).to(aligned.device)
    sigma = (low + (high - low) * places).exp()
    noise = drawn(*aligned.shape)
    noisy = aligned + sigma * noise
    if not projections:
        noisy = (
            noisy if noisy.requires_grad else noisy.requires_grad_()
        )  # without an alignment nothing before it learns
        with twice_differentiable():
            (score,) = torch.autograd.grad(_log_p(density, noisy).sum(), noisy, create_graph=True)
        return (sigma * score + noise).square().sum(-1).mean()
    errors = []
    for _ in range(projections):
        direction = torch.nn.functional.normalize(drawn(*aligned.shape), dim=-1)
        step = STEP * sigma * direction
        slope = (_log_p(density, noisy + step) - _log_p(density, noisy - step)) / (2 * STEP)  # σ·direction·∇log p
        errors.append((slope + (direction * noise).sum(-1)).square().mean())
    return torch.stack(errors).mean()


def _log_p(density: Density, aligned: Tensor) -> Tensor:
    """Log-likelihood of aligned patches but for what the alignment adds, (B, H, W), in nats."""
    return -density.judge(aligned, aligned.new_zeros(aligned.shape[:-1])).nll
