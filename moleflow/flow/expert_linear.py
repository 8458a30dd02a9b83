"""A linear layer of the base that an expert adapts."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SETTLING = 20  # steps of power iteration at the start; one more in every step of training


class ExpertLinear(nn.Linear):
    """W and b are the base's; a subclass adds what is the expert's.

    With a bound c the layer uses W·min(1, c/σ), where σ is W's largest singular value by power iteration, a step each
    time that W learns. A smaller σ stays, and so does a small start. The vectors `left` and `right` are the base's, and
    stand still with it. The bound covers W alone: neither LoRA nor DIA nor exp.

    Source: docs/method.md, Couplings; Miyato et al., "Spectral Normalization for Generative Adversarial Networks",
    2018, algorithm 1, without the min.
    """

    def __init__(self, in_features: int, out_features: int, *, spectral_bound: float) -> None:
        """Creates the base's layer.

        Args:
            in_features: channels in.
            out_features: channels out.
            spectral_bound: c, the largest singular value that W may have; 0 for any.
        """
        super().__init__(in_features, out_features)
        self.spectral_bound = spectral_bound
        if spectral_bound:
            self.left: Tensor
            self.right: Tensor
            self.register_buffer("left", torch.zeros(out_features))
            self.register_buffer("right", F.normalize(torch.randn(in_features), dim=0))
            for _ in range(SETTLING):
                self._iterate()

    def base_weight(self) -> Tensor:
        """W, bounded where a bound is set, (out_features, in_features)."""
        if not self.spectral_bound:
            return self.weight
        if self.training and self.weight.requires_grad and torch.is_grad_enabled():
            self._iterate()
        left, right = self.left.clone(), self.right.clone()  # a second pass before the backward one moves the buffers
        largest = (left[:, None] * self.weight * right).sum()  # autocast would round a matrix product
        return self.weight * (self.spectral_bound / largest.clamp_min(1e-12)).clamp(max=1)

    def merged_weight(self) -> Tensor:
        """What the patches are multiplied by, (out_features, in_features).

        Raises:
            NotImplementedError: in this class, which has no expert.
        """
        raise NotImplementedError

    def merged_bias(self) -> Tensor:
        """What is added to all patches, (out_features,).

        Raises:
            NotImplementedError: in this class, which has no expert.
        """
        raise NotImplementedError

    def merged(self) -> nn.Linear:
        """The plain layer that computes the same in its weight's precision; it no longer learns."""
        layer = nn.Linear(self.in_features, self.out_features, device=self.weight.device, dtype=self.weight.dtype)
        layer.weight = nn.Parameter(self.merged_weight().detach(), requires_grad=False)
        layer.bias = nn.Parameter(self.merged_bias().detach(), requires_grad=False)
        return layer

    @torch.no_grad()
    def _iterate(self) -> None:
        self.left.copy_(F.normalize((self.weight * self.right).sum(1), dim=0))
        self.right.copy_(F.normalize((self.weight * self.left[:, None]).sum(0), dim=0))
