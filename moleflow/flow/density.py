"""The density of a product's patches: the shared base and the product's expert."""

import math
from typing import NamedTuple

import torch
from FrEIA.framework import SequenceINN
from jaxtyping import Float
from torch import Tensor, nn

from moleflow.config.registry import Settings, call, choose
from moleflow.flow.alignment import ALIGNMENTS
from moleflow.flow.context import SPATIAL_MIXERS
from moleflow.flow.coupling import LoRACoupling
from moleflow.flow.dia import DIACoupling
from moleflow.flow.lora import LoRALinear, is_lora
from moleflow.flow.positions import POSITIONS, PositionCode


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
    """Standardized features → position → alignment → mixer → base flow → DIA.

    The parameters named by `expert_names` belong to one product's expert; all others are the base,
    which the first task trains and every later one leaves unchanged, bit for bit.

    Attributes:
        channels: C, channels of a patch feature.
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
            settings: `position`, `alignment` and `spatial_mixer`, names in `POSITIONS`, `ALIGNMENTS` and
                `SPATIAL_MIXERS`; `couplings` of the base flow; `dia_blocks`, couplings of the DIA, 0 for none; `clamp`,
                the bound of a channel's log-scale in one coupling; and what the chosen members and the couplings ask
                for.
            first: whether the product belongs to the first task.
            seed: of the permutations and initial values; torch's global generator stays as it is.

        Raises:
            ChoiceError: a position, alignment or mixer is unknown.
        """
        super().__init__()
        self.channels = channels
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.position = PositionCode(choose(POSITIONS, settings["position"], "position"))
            self.alignment = call(choose(ALIGNMENTS, settings["alignment"], "alignment"), settings, channels, first)
            self.mixer = call(choose(SPATIAL_MIXERS, settings["spatial_mixer"], "spatial_mixer"), settings, channels)
            self.flow = SequenceINN(channels)
            for _ in range(settings["couplings"]):
                self.flow.append(LoRACoupling, settings=settings, generator=generator)
            self.dia = SequenceINN(channels)
            for block in range(settings["dia_blocks"]):
                self.dia.append(DIACoupling, clamp=settings["clamp"], swap=bool(block % 2))

    def forward(self, x: Float[Tensor, "B H W C"]) -> Likelihood:
        """Computes latents and log-determinants.

        Args:
            x: standardized patch features, (B, H, W, C).

        Returns:
            Latents, (B, H, W, C), and log-determinants, (B, H, W), in nats.

        Raises:
            MoleflowError: the position code does not suit the number of channels.
        """
        aligned, alignment_log_det = self.alignment(self.position(x))
        z, log_det = self.flow(self.mixer(aligned))
        z, dia_log_det = self.dia(z)
        return Likelihood(z, x.new_zeros(x.shape[:-1]) + alignment_log_det + log_det + dia_log_det)


def for_inference(density: Density) -> Density:
    """Makes a density faster that only predicts in fp32, with the same results bit for bit.

    LoRA is merged with the layers that it adapts, once instead of in every pass; ReLUs overwrite what they are given.

    Args:
        density: base and expert; it can neither learn nor be saved afterward.

    Returns:
        The same object, in eval mode.
    """
    for name, module in list(density.named_modules()):
        if isinstance(module, LoRALinear):
            density.set_submodule(name, module.merged())
        elif isinstance(module, nn.ReLU):
            module.inplace = True
    return density.requires_grad_(False).eval()


def expert_names(density: Density) -> list[str]:
    """Names of the parameters that belong to the expert.

    Args:
        density: base and expert.

    Returns:
        Their names in the density.
    """
    return [name for name, _ in density.named_parameters() if name.startswith(("alignment.", "dia.")) or is_lora(name)]


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


def decays(name: str, tensor: Tensor) -> bool:
    """Whether weight decay may pull a parameter toward zero.

    Only where zero means "no effect": weights of layers and of LoRA. Not the alignment, whose gain would go to 1.25
    instead of 1, and no bias, gain or strength.

    Args:
        name: the parameter's name in the density.
        tensor: the parameter.

    Returns:
        True for weights of layers and of LoRA.
    """
    return tensor.ndim > 1 and not name.startswith("alignment.")


def base_state(density: Density) -> dict[str, Tensor]:
    """The base's tensors, the permutations among them.

    Args:
        density: base and expert.

    Returns:
        Tensor by name.
    """
    owned = set(expert_names(density))
    return {name: tensor for name, tensor in density.state_dict().items() if name not in owned}
