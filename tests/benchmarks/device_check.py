"""`make device-check`: does an accelerator compute what the processor does, and how fast is it?

It runs with the torch that it finds and reads no file: features are random. One JSON file holds all of it, and a table
for docs/speed.md is printed. On a processor alone `--small` runs the same code in seconds.
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from moleflow.compute.device import find_device  # noqa: E402
from moleflow.config.params import read_params  # noqa: E402
from moleflow.features.memory_bank import memorize  # noqa: E402
from moleflow.features.normal_patches import NormalPatches  # noqa: E402
from moleflow.features.patches import patch_features  # noqa: E402
from moleflow.features.position_gaussians import PositionGaussians, PositionMoments  # noqa: E402
from moleflow.files.artifacts import write_json  # noqa: E402
from moleflow.flow.density import Density, expert_state  # noqa: E402
from moleflow.flow.relative import relative_likelihood  # noqa: E402
from moleflow.learning.training import Recipe, make_optimizer, train, training_step  # noqa: E402
from moleflow.report.tables import Table  # noqa: E402
from moleflow.scoring.maps import brought_to_pixels  # noqa: E402
from moleflow.statistics.expert import patch_statistics  # noqa: E402

CPU = torch.device("cpu")
TOLERANCE = 1e-3  # relative
PARAMS = read_params(ROOT / "params.yaml")
Size = tuple[int, int, int]  # images, patches per side, channels


def density_of(channels: int, device: torch.device) -> Density:
    """A later task's density that is not at its start, the same on every device."""
    density = Density(channels, PARAMS, first=False, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in density.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return density.to(device)


def features_of(size: Size) -> Tensor:
    """Random standardized features, (N, H, W, C), fp16."""
    images, side, channels = size
    return torch.randn(images, side, side, channels, generator=torch.Generator().manual_seed(2)).half()


def recipe_of(**changes: Any) -> Recipe:
    """The recipe of params.yaml, but for changes."""
    return Recipe(**{**{key: PARAMS[key] for key in Recipe.model_fields}, **changes})


def difference(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference, relative to the norm of what is expected."""
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    return float((found - expected).norm() / expected.norm())


def agreement(size: Size, device: torch.device) -> dict[str, float]:
    """Relative differences between the device and the processor."""
    results = [computed(size, each) for each in (device, CPU)]
    return {name: difference(results[0][name], results[1][name]) for name in results[1]}


def computed(size: Size, device: torch.device) -> dict[str, Tensor]:
    """One training step, statistics, a memory search, patch features and maps on a device."""
    side, channels = size[1:]
    features = features_of((16, side, channels)).to(device)
    density = density_of(channels, device)
    expert = expert_state(density)
    trained = list(expert.items())
    density.requires_grad_(False)
    for _, tensor in trained:
        tensor.requires_grad_(True)
    recipe = recipe_of(grad_clip=0.0)
    step = training_step(
        density, expert, features, [each for _, each in trained], make_optimizer(trained, recipe), recipe
    )
    gradients = torch.cat([tensor.grad.flatten() for _, tensor in trained if tensor.grad is not None])
    # The same normal patches on every device.
    kept = NormalPatches(
        memorize(features_of((16, side, channels)), [channels], size=200),
        PositionGaussians.of(PositionMoments.of(features_of((16, side, channels))), 10),
    )
    normal = NormalPatches.from_tensors({name: tensor.to(device) for name, tensor in kept.tensors().items()})
    fresh = density_of(channels, device).eval()
    relative = relative_likelihood(fresh, {}, features, normal, torch.float32)
    found = patch_statistics(fresh, normal, relative, features, log_det=0.0, dtype=torch.float32)
    own = NormalPatches(
        memorize(features, [channels], size=200), PositionGaussians.of(PositionMoments.of(features), 10)
    ).distances(features)
    maps = maps_of((4, 24, 2 * side, 2 * side), (4, 40, side, side))
    patches = patch_features(
        [layer.half().to(device) for layer in maps],
        neighborhood=3,
        embed_dim=64,
        grid=side,
        layer_merge="concat",
    )
    return {
        "training step: loss": step["loss"],
        "training step: gradients": gradients,
        **{f"statistics: {name}": values for name, values in found.items()},
        "memory search: mean distance": own["memory0"].mean()[None],
        "Gaussians: distances": own["gaussian"],
        "patch features": patches,
        "anomaly maps": brought_to_pixels(found["nll"], size=224, sigma=4.0),
    }


def maps_of(*shapes: tuple[int, ...]) -> list[Tensor]:
    """Random maps, the same whatever was drawn before."""
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def backbone_agreement(device: torch.device) -> dict[str, float]:
    """The backbone with random weights, whose package need not be installed; TF32 is off in `Backbone`."""
    import tempfile

    from safetensors.torch import save_file

    from moleflow.backbones.backbone import Backbone, timm

    torch.manual_seed(0)
    name = PARAMS["backbone"]
    images = (255 * torch.rand(4, 3, 224, 224)).to(torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "weights.safetensors")
        save_file(timm.create_model(name).state_dict(), path)
        maps = [Backbone(name, PARAMS["layers"], path, img_size=224, device=each)(images) for each in (device, CPU)]
    return {
        f"backbone: layer {layer}": difference(*pair)
        for layer, pair in zip(PARAMS["layers"], zip(*maps, strict=True), strict=True)
    }


def waits(size: Size, device: torch.device) -> str:
    """Whether three training steps wait for the device."""
    if device.type != "cuda":
        return "not asked: only CUDA can tell"
    features = features_of((16, *size[1:])).to(device)
    density = density_of(size[2], device)
    expert = expert_state(density)
    density.requires_grad_(False)
    for tensor in expert.values():
        tensor.requires_grad_(True)
    optimizer = make_optimizer(list(expert.items()), recipe_of())
    training_step(
        density, expert, features, list(expert.values()), optimizer, recipe_of()
    )  # the first one makes what later ones use
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            training_step(density, expert, features, list(expert.values()), optimizer, recipe_of())
    except RuntimeError as error:
        return f"yes: {str(error).splitlines()[0]}"
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return "no"


def wait(device: torch.device) -> None:
    """Waits until the device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def seconds(run: Callable[[], Any], device: torch.device, rounds: int) -> float:
    """Fastest of some rounds, after one that does not count."""
    times = []
    for _ in range(rounds + 1):
        wait(device)
        start = time.perf_counter()
        run()
        wait(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])


class Traffic(TorchDispatchMode):
    """Counts the bytes that operations read and write, views apart: what a perfect cache would not save."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = function(*args, **(kwargs or {}))
        if not function.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, output)) if isinstance(leaf, Tensor)]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return output


def limits(device: torch.device, small: bool) -> dict[str, float]:
    """What the device reaches at best: a copy in GB/s, read and written, and matrix products in TFLOP/s."""
    side = 512 if small else 8192
    source = torch.randn(2**20 if small else 2**28, device=device)
    target = torch.empty_like(source)
    found = {"copy_gb_per_s": 2 * source.numel() * 4 / seconds(lambda: target.copy_(source), device, 5) / 1e9}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        taken = seconds(lambda left=left, right=right: left @ right, device, 3)
        found[f"products_{name}_tflop_per_s"] = 2 * side**3 / taken / 1e12
    return found


def product(size: Size, device: torch.device, precision: str, best: dict[str, float]) -> dict[str, float]:
    """A whole product: learning its expert, its normal patches, statistics and maps of all its images."""
    images, _, channels = size
    features = features_of(size).to(device)
    recipe = recipe_of(precision=precision)

    def learned() -> Density:
        density = density_of(channels, device)
        expert = expert_state(density)
        train(density, {"x": expert}, {"x": features}, list(expert.items()), recipe, label="device-check")
        return density.eval()

    def step() -> None:
        training_step(density, expert, features[: recipe.batch_size], list(expert.values()), optimizer, recipe)

    def judged() -> Tensor:
        parts = [
            patch_statistics(trained, normal, relative, batch, log_det=0.0, dtype=recipe.dtype)["nll"]
            for batch in features.split(32)
        ]
        return brought_to_pixels(torch.cat(parts), size=224, sigma=4.0)

    density = density_of(channels, device)
    expert = expert_state(density)
    density.requires_grad_(False)
    for tensor in expert.values():
        tensor.requires_grad_(True)
    optimizer = make_optimizer(list(expert.items()), recipe)
    step()
    with FlopCounterMode(display=False) as counter:
        step()
    with Traffic() as traffic:
        step()
    step_seconds = seconds(step, device, 5)
    wait(device)
    start = time.perf_counter()
    trained = learned()
    wait(device)
    learning = time.perf_counter() - start
    start = time.perf_counter()
    bank = memorize(features, [channels], size=2000)
    wait(device)
    memorizing = time.perf_counter() - start
    start = time.perf_counter()
    normal = NormalPatches(bank, PositionGaussians.of(PositionMoments.of(features), 10))
    relative = relative_likelihood(trained, {}, features, normal, recipe.dtype)
    wait(device)
    fitting = time.perf_counter() - start
    judging = seconds(judged, device, 1)
    operations, moved = counter.get_total_flops() / step_seconds, traffic.bytes / step_seconds
    return {
        "learning_seconds": learning,
        "memory_seconds": memorizing,
        "references_seconds": fitting,
        "judging_seconds": judging,
        "learned_images_per_s": images * recipe.epochs / learning,
        "judged_images_per_s": images / judging,
        "step_ms": 1e3 * step_seconds,
        "step_tflop_per_s": operations / 1e12,
        "step_share_of_products": operations / 1e12 / best[f"products_{precision}_tflop_per_s"],
        "step_gb_per_s": moved / 1e9,
        "step_share_of_bandwidth": moved / 1e9 / best["copy_gb_per_s"],
    }


def check(device: torch.device, *, small: bool) -> dict[str, Any]:
    """All of it.

    Args:
        device: the accelerator, or the processor to try the code.
        small: tiny sizes.

    Returns:
        What was found, as JSON can hold it.
    """
    sizes: list[Size] = [(40, 4, 16), (40, 6, 32)] if small else [(300, 16, 384), (300, 28, 768)]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, {platform.processor()}"
    agreed = backbone_agreement(device)
    for size in sizes:
        shape = f"{size[1]}×{size[1]}×{size[2]}"
        agreed |= {f"{shape}: {what}": value for what, value in agreement(size, device).items()}
    best = limits(device, small)
    products = {
        f"{images} images of {side}×{side}×{channels}, {precision}": product(
            (images, side, channels), device, precision, best
        )
        for images, side, channels in sizes
        for precision in ("fp32", "bf16")
    }
    return {
        "device": name,
        "torch": torch.__version__,
        "small": small,
        "agreement": agreed,
        "agrees": max(agreed.values()) <= TOLERANCE,
        "training_waits_for_numbers": waits(sizes[0], device),
        "limits": best,
        "products": products,
    }


def tables(found: dict[str, Any]) -> str:
    """What was found, in Markdown."""
    rows = [[what, f"{value:.1e}"] for what, value in found["agreement"].items()]
    agreed = Table([f"{found['device']}, torch {found['torch']}", "relative difference to the processor"], rows)
    columns = list(next(iter(found["products"].values())))
    measured = [[what, *(f"{values[key]:.3g}" for key in columns)] for what, values in found["products"].items()]
    speed = Table(["a whole product", *(key.replace("_", " ") for key in columns)], measured)
    best = ", ".join(f"{key.replace('_', ' ')} {value:.3g}" for key, value in found["limits"].items())
    return "\n\n".join(
        [
            agreed.markdown(),
            speed.markdown(),
            f"Limits of the device: {best}. Training waits for numbers of the device: "
            f"{found['training_waits_for_numbers']}.",
        ]
    )


def main(arguments: list[str]) -> int:
    """Runs the check; exit status 1 if the device and the processor disagree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try the code")
    parser.add_argument("--output", type=Path, default=Path("device-check.json"))
    given = parser.parse_args(arguments)
    torch.backends.cuda.matmul.allow_tf32 = False
    start = time.perf_counter()
    found = check(find_device(given.device), small=given.small)
    found["seconds"] = round(time.perf_counter() - start, 1)
    write_json(given.output, found)
    print(tables(found))
    print(f"\n{given.output} holds all of it; {found['seconds']} s")
    return 0 if found["agrees"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
