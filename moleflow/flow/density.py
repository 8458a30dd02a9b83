"""The density of a product's patches: the shared base and the product's expert."""

import math
from typing import NamedTuple

import torch
from FrEIA.framework import SequenceINN
from jaxtyping import Float
from torch import Tensor, nn

from moleflow.config.registry import Settings, call, choose, own_settings
from moleflow.flow.alignments import ALIGNMENTS
from moleflow.flow.branches import BRANCHES
from moleflow.flow.contexts import CONTEXTS
from moleflow.flow.coupling import BaseCoupling
from moleflow.flow.dia import DIACoupling
from moleflow.flow.expert_linear import ExpertLinear
from moleflow.flow.lora import is_lora
from moleflow.flow.positions import POSITIONS

FREE = "free."  # names of what belongs to the density without a position code begin so


class Likelihood(NamedTuple):
    """What a density returns for every patch.

    Attributes:
        z: latents, (B, H, W, C).
        log_det: log-determinant of the Jacobian, (B, H, W), in nats.
    """

    z: Float[Tensor, "B H W C"]
    log_det: Float[Tensor, "B H W"]

    @property
    def latent(self) -> Float[Tensor, "B H W"]:
        """½‖z‖², the distance half of the likelihood, in nats."""
        return 0.5 * self.z.square().sum(-1)

    @property
    def nll(self) -> Float[Tensor, "B H W"]:
        """−log p(x) = ½‖z‖² + (C/2)·log 2π − log_det, in nats."""
        return self.latent + 0.5 * self.z.shape[-1] * math.log(2 * math.pi) - self.log_det


class Density(nn.Module):
    """Standardized features → position → alignment → contexts → base flow → DIA.

    The parameters named by `expert_names` belong to one product's expert; all others are the base,
    which the first task trains and every later one leaves unchanged, bit for bit.

    Attributes:
        channels: C, channels of a patch feature.
        first: whether the product belongs to the first task.
        free: a second density without a position code, which `forward` does not ask; None unless there are `branches`.
    """

    def __init__(
        self,
        channels: int,
        settings: Settings,
        *,
        first: bool,
        seed: int,
    ) -> None:
        """Creates an untrained density.

        Args:
            channels: C, channels of a patch feature.
            settings: `position` and `alignment`, names in `POSITIONS` and `ALIGNMENTS`; `context`, a list of names in
                `CONTEXTS`, in their order; `couplings` of the base flow; `dia_blocks`, couplings of the DIA, 0 for
                none; `branches`, a name in `BRANCHES`, left out by files without a second density; and what the chosen
                members and the couplings ask for. They may ask for `first` too.
            first: whether the product belongs to the first task.
            seed: of the permutations and initial values; torch's global generator stays as it is.

        Raises:
            ChoiceError: the name of a member is unknown.
            MoleflowError: the position code does not suit the number of channels.
        """
        super().__init__()
        self.channels, self.first = channels, first
        settings = {**settings, "first": first}
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.position = call(choose(POSITIONS, settings["position"], "position"), settings, channels)
            self.alignment = call(choose(ALIGNMENTS, settings["alignment"], "alignment"), settings, channels, first)
            self.context = nn.ModuleDict(
                {name: call(choose(CONTEXTS, name, "context"), settings, channels) for name in settings["context"]}
            )
            self.flow = SequenceINN(channels)
            for _ in range(settings["couplings"]):
                self.flow.append(BaseCoupling, settings=settings, generator=generator)
            self.dia = SequenceINN(channels)
            for block in range(settings["dia_blocks"]):
                self.dia.append(DIACoupling, **own_settings(DIACoupling, {**settings, "swap": bool(block % 2)}))
        position = choose(BRANCHES, settings.get("branches", "none"), "branches")
        other = {**settings, "position": position, "branches": "none"}
        self.free: Density | None = Density(channels, other, first=first, seed=seed) if position else None

    def forward(self, x: Float[Tensor, "B H W C"]) -> Likelihood:
        """Computes latents and log-determinants.

        Args:
            x: standardized patch features, (B, H, W, C).

        Returns:
            Latents, (B, H, W, C), and log-determinants, (B, H, W), in nats.

        Raises:
            MoleflowError: the grid is too small for a context.
        """
        return self.judge(*self.align(x))

    def align(self, x: Float[Tensor, "B H W C"]) -> tuple[Float[Tensor, "B H W C"], Float[Tensor, "B H W"]]:
        """The first half of `forward`: position code and alignment.

        Args:
            x: standardized patch features, (B, H, W, C).

        Returns:
            Aligned features, (B, H, W, C), and log-determinants so far, (B, H, W), in nats.
        """
        aligned, log_det = self.alignment(self.position(x))
        return aligned, x.new_zeros(x.shape[:-1]) + log_det

    def judge(self, aligned: Float[Tensor, "B H W C"], log_det: Float[Tensor, "B H W"]) -> Likelihood:
        """The second half of `forward`: contexts, base flow and DIA.

        Args:
            aligned: aligned features, (B, H, W, C).
            log_det: log-determinants so far, (B, H, W), in nats.

        Returns:
            Latents, (B, H, W, C), and log-determinants, (B, H, W), in nats.

        Raises:
            MoleflowError: the grid is too small for a context.
        """
        for context in self.context.values():
            aligned = context(aligned)
        z, flow_log_det = self.flow(aligned)
        z, dia_log_det = self.dia(z)
        return Likelihood(z, log_det + flow_log_det + dia_log_det)


def for_inference(density: Density) -> Density:
    """Makes a density faster that only predicts in fp32, with the same results bit for bit.

    What an expert adds to layers is merged with them, once instead of in every pass; ReLUs overwrite what they are
    given.

    Args:
        density: base and expert; it can neither learn nor be saved afterward.

    Returns:
        The same object, in eval mode.
    """
    for name, module in list(density.named_modules()):
        if isinstance(module, ExpertLinear):
            density.set_submodule(name, module.merged())
        elif isinstance(module, nn.ReLU):
            module.inplace = True
    return density.requires_grad_(False).eval()


def is_own(name: str) -> bool:
    """Whether a parameter belongs to the expert.

    Args:
        name: its name in the density.

    Returns:
        True for alignment, DIA, LoRA, and whatever lies below an attribute `own` of a member, in both branches.
    """
    name = name.removeprefix(FREE)
    return name.startswith(("alignment.", "dia.")) or is_lora(name) or "own" in name.split(".")


def expert_names(density: Density) -> list[str]:
    """Names of the parameters that belong to the expert.

    Args:
        density: base and expert.

    Returns:
        Their names in the density.
    """
    return [name for name, _ in density.named_parameters() if is_own(name)]


def expert_state(density: Density) -> dict[str, Tensor]:
    """The expert's parameters.

    Args:
        density: base and expert.

    Returns:
        Parameter by name, not copied.
    """
    return {name: density.get_parameter(name) for name in expert_names(density)}


def base_parameters(density: Density) -> list[tuple[str, nn.Parameter]]:
    """The base's parameters, which the first task trains for all.

    Args:
        density: base and expert.

    Returns:
        Each name with its parameter, not copied.
    """
    owned = set(expert_names(density))
    return [(name, parameter) for name, parameter in density.named_parameters() if name not in owned]


def decays(tensor: Tensor) -> bool:
    """Whether weight decay may pull a parameter toward zero.

    Only where zero means "no effect": weights of layers and of LoRA. No bias, gain or strength: the alignment's gain
    would go to 1.25 instead of 1.

    Args:
        tensor: the parameter.

    Returns:
        True for weights of layers and of LoRA.
    """
    return tensor.ndim > 1


def base_state(density: Density) -> dict[str, Tensor]:
    """The base's tensors, the permutations among them.

    Args:
        density: base and expert.

    Returns:
        Tensor by name.
    """
    owned = set(expert_names(density))
    return {name: tensor for name, tensor in density.state_dict().items() if name not in owned}
