"""Batch normalization folded into the convolutions before it: the same features in three quarters of the time."""

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

ROUNDING = 1e-6  # of a channel's largest value: largest change by folding, in double precision
NOISE = 1e-12  # of the whole map's largest value, for channels of zeros


@torch.no_grad()
def folded(model: nn.Module, image: Tensor) -> nn.Module:
    """A model in eval mode without the batch normalizations that follow a convolution.

    Args:
        model: returns a list of maps; it stays as it is.
        image: to try it on, normalized like its inputs, (1, 3, S, S).

    Returns:
        A changed copy; the model itself if nothing can be folded or if its maps would not stay the same, as where
        something else reads the convolution's output too, or if it cannot be tried in double precision.
    """
    with _one_thread():
        followers = _followers(model, image)
        stays = not followers or not _same_maps(model, followers, image.double())
    return model if stays else _fold(copy.deepcopy(model), followers)


def trial_image(side: int) -> Tensor:
    """An image to try a model on: noise, black, white and a slope from black to white, a quarter each.

    One image with all of them, since every process that judges images waits for it.

    Args:
        side: its side in pixels.

    Returns:
        RGB values in 0..255, (1, 3, side, side).
    """
    image = 255 * torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    half = side // 2
    image[..., :half, half:] = 0
    image[..., half:, :half] = 255
    image[..., half:, half:] = torch.linspace(0, 255, side - half)
    return image


@contextmanager
def _one_thread() -> Iterator[None]:
    """In double precision a depthwise convolution wakes all threads for each channel: 30 s on a busy processor."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _followers(model: nn.Module, image: Tensor) -> dict[str, str]:
    """Convolutions whose output goes to a batch normalization, with its name; each of both runs just once."""
    makers: dict[int, str] = {}
    outputs: list[Tensor] = []  # kept until the end, or another tensor could get the same id
    runs: Counter[str] = Counter()
    pairs: list[tuple[str, str]] = []

    def made(name: str, output: Tensor) -> None:
        makers[id(output)] = name
        outputs.append(output)
        runs[name] += 1

    def taken(name: str, given: Tensor) -> None:
        if id(given) in makers:
            pairs.append((makers[id(given)], name))
        runs[name] += 1

    handles = []
    for name, module in model.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:  # timm reads its output as a feature
            continue
        if isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(lambda _, __, output, name=name: made(name, output)))
        elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            handles.append(module.register_forward_pre_hook(lambda _, inputs, name=name: taken(name, inputs[0])))
    model(image)
    for handle in handles:
        handle.remove()
    readers = Counter(convolution for convolution, _ in pairs)
    return {conv: norm for conv, norm in pairs if runs[conv] == runs[norm] == readers[conv] == 1}


def _same_maps(model: nn.Module, followers: dict[str, str], image: Tensor) -> bool:
    """Whether a copy in double precision, where rounding hides nothing, gives the same maps after folding."""
    try:
        trial = copy.deepcopy(model).double()
        expected = trial(image)
        _fold(trial, followers)
        return all(_alike(before, after) for before, after in zip(expected, trial(image), strict=True))
    except Exception:  # a model may raise anything in float64, or if it uses more of a norm than its output
        return False


def _fold(model: nn.Module, followers: dict[str, str]) -> nn.Module:
    for convolution, norm in followers.items():
        conv: Any = model.get_submodule(convolution)
        bn: Any = model.get_submodule(norm)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
        )
        model.set_submodule(norm, getattr(bn, "act", nn.Identity()))  # timm's norms hold the activation
    return model


def _alike(expected: Tensor, folded: Tensor) -> bool:
    size = expected.abs()
    channel = size.amax(-2, keepdim=True)  # within a channel, whether channels come first or last
    return bool(((expected - folded).abs() <= ROUNDING * channel + NOISE * size.max()).all())
