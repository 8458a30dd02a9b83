"""A training step of a later task, beside the same flow of FrEIA's AllInOneBlocks and its matrix products alone."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from FrEIA.framework import SequenceINN
from FrEIA.modules import AllInOneBlock
from samples import scorer_of
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from moleflow.compute.precision import PRECISIONS
from moleflow.config.params import read_params
from moleflow.features.memory_bank import memorize
from moleflow.features.normal_patches import NormalPatches
from moleflow.features.position_gaussians import PositionGaussians, PositionMoments
from moleflow.flow.coupling_contexts.scale import ScaleContext
from moleflow.flow.density import Density, expert_state
from moleflow.flow.relative import relative_likelihood
from moleflow.flow.subnets import zero_mlp
from moleflow.learning.losses import tail_aware_loss
from moleflow.learning.training import Recipe, train
from moleflow.scoring.scores import SCORES
from moleflow.statistics.expert import patch_statistics

IMAGES, RANK = 16, 64
SHAPES = {"16×16×384": (16, 384), "28×28×64": (28, 64)}  # that of the lab diary, and the default
PARAMS = read_params(Path(__file__).parents[2] / "params.yaml")
PRODUCTS = (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)


def density_of(channels):
    """A later task's: the base frozen, the expert to be trained."""
    settings = PARAMS | {"scale_context_kernel": 5, "lora_rank": RANK, "lora_alpha": float(RANK)}
    density = Density(channels, settings, first=False, seed=0)
    trained = list(expert_state(density).values())
    density.requires_grad_(False)
    for tensor in trained:
        tensor.requires_grad_(True)
    return density


class SeparateLoRA(nn.Module):
    """W·x + b, and B·A·x beside it, as the lab diary's code has it."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.base = nn.Linear(inputs, outputs).requires_grad_(False)
        self.lora_A = nn.Parameter(torch.randn(RANK, inputs) / inputs)
        self.lora_B = nn.Parameter(torch.zeros(outputs, RANK))
        self.task_bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return self.base(x) + x @ self.lora_A.T @ self.lora_B.T + self.task_bias


class Subnet(nn.Module):
    """Scale from a patch and its context, shift from the patch: what BaseCoupling has in two networks."""

    def __init__(self, inputs, outputs, grid):
        super().__init__()
        self.grid = grid
        self.context = ScaleContext(inputs, scale_context_kernel=5).requires_grad_(False)
        self.scale = nn.Sequential(
            SeparateLoRA(2 * inputs, 2 * inputs), nn.ReLU(), SeparateLoRA(2 * inputs, outputs // 2)
        )
        self.shift = nn.Sequential(SeparateLoRA(inputs, 2 * inputs), nn.ReLU(), SeparateLoRA(2 * inputs, outputs // 2))

    def forward(self, x):
        context = self.context(x.view(-1, self.grid, self.grid, x.shape[1])).reshape(x.shape)
        return torch.cat([self.scale(torch.cat([x, context], dim=1)), self.shift(x)], dim=1)


class OfAllInOneBlocks(nn.Module):
    """FrEIA's blocks over patches as rows, with a hard permutation each."""

    def __init__(self, channels, blocks, subnet):
        super().__init__()
        self.blocks = SequenceINN(channels)
        for _ in range(blocks):
            self.blocks.append(AllInOneBlock, subnet_constructor=subnet, affine_clamping=1.9, permute_soft=False)
        for block in self.blocks.children():
            for name, parameter in block.named_parameters(recurse=True):
                frozen = "subnet" not in name and ("global" in name or "perm" in name)
                parameter.requires_grad_(parameter.requires_grad and not frozen)

    def forward(self, x):
        z, log_det = self.blocks(x.reshape(-1, x.shape[-1]))
        return z.view(x.shape), log_det.view(x.shape[:-1])


def baseline_of(channels, grid):
    """The same density with its couplings replaced; matrix products of the same sizes, but for LoRA's own."""
    density = density_of(channels)
    density.flow = OfAllInOneBlocks(channels, 6, lambda inputs, outputs: Subnet(inputs, outputs, grid))
    density.dia = OfAllInOneBlocks(channels, 2, lambda inputs, outputs: zero_mlp(inputs, channels // 2, outputs))
    return density


def step(density, features, dtype):
    """Forward, loss and backward."""
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        judged = density(features)
    settings = {"tail_weight": 0.7, "tail_ratio": 0.02, "lambda_logdet": 1e-4, "focal_gamma": 0.0, "dsm_weight": 0.0}
    tail_aware_loss(judged.nll, judged.log_det, **settings).backward()


class Products(TorchDispatchMode):
    """Remembers the operands' shapes of every matrix product."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function in PRODUCTS:
            left, right = args[-2:]
            self.shapes.append((left.shape, right.shape, left.dtype))
        return function(*args, **(kwargs or {}))


def products_of(density, features, dtype):
    """The matrix products of our step on operands that lie ready."""
    with Products() as products:
        step(density, features, dtype)
    made = {}
    for left, right, kind in products.shapes:
        made.setdefault((left, right, kind), (torch.randn(left).to(kind), torch.randn(right).to(kind)))
    operands = [made[shapes] for shapes in products.shapes]

    def run():
        for left, right in operands:
            torch.mm(left, right)

    return run


@pytest.mark.benchmark(group="training step on 16 images")
@pytest.mark.parametrize("way", ["moleflow", "AllInOneBlock", "matrix products alone"])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_training_step(benchmark, shape, precision, way):
    grid, channels = SHAPES[shape]
    features, dtype = torch.randn(IMAGES, grid, grid, channels), PRECISIONS[precision]
    run = {
        "moleflow": lambda: partial(step, density_of(channels), features, dtype),
        "AllInOneBlock": lambda: partial(step, baseline_of(channels, grid), features, dtype),
        "matrix products alone": lambda: products_of(density_of(channels), features, dtype),
    }[way]()
    benchmark.pedantic(run, rounds=10, warmup_rounds=2)


def bare_steps(features):
    """Forward, loss and backward of the flow, and nothing else."""
    density = density_of(64)
    for batch in features.split(IMAGES):
        step(density, batch.float(), torch.bfloat16)


def recipe_of(epochs, warmup_epochs):
    return Recipe(
        epochs=epochs, warmup_epochs=warmup_epochs, lr=1e-3, position_lr=1.0, batch_size=IMAGES, feature_memory=1.0,
        precision="bf16", tail_weight=0.7, tail_ratio=0.02, lambda_logdet=1e-4, identity_weight=0.0,
        focal_gamma=0.0, center_weight=0.0, dsm_weight=0.0, dsm_sigma=[0.01, 1.0], dsm_projections=1,
        dsm_clean_weight=0.0, margin_weight=0.0, weight_decay=0.01,
        grad_clip=0.5, seed=0,
    )  # fmt: skip


def trained_steps(features):
    """The same batches through `train`."""
    density = density_of(64)
    expert = expert_state(density)
    train(density, {"x": expert}, {"x": features}, list(expert.items()), recipe_of(1, 0.0), label="x")


@pytest.mark.benchmark(group="an epoch of 128 images of 28×28×64, bf16")
@pytest.mark.parametrize(("way", "run"), [("moleflow", trained_steps), ("steps alone", bare_steps)])
def test_epoch(benchmark, way, run):
    features = torch.randn(128, 28, 28, 64).half()
    benchmark.pedantic(run, (features,), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="a product of 300 images of 16×16×384: 8 epochs, normal patches, 75 held-out ones judged")
@pytest.mark.parametrize("way", ["moleflow"])
def test_product(benchmark, way):
    features = torch.randn(300, 16, 16, 384).half()

    def learn():
        density = density_of(384)
        expert = expert_state(density)
        train(density, {"x": expert}, {"x": features}, list(expert.items()), recipe_of(8, 2.0), label="x")
        normal = NormalPatches(
            memorize(features, [384], size=2000), PositionGaussians.of(PositionMoments.of(features), 10)
        )
        relative = relative_likelihood(density, expert, features, normal, torch.bfloat16)
        batches = [
            patch_statistics(density.eval(), normal, relative, batch, log_det=0.0, dtype=torch.bfloat16)
            for batch in features[:75].split(32)
        ]
        found = {name: np.concatenate([batch[name].numpy() for batch in batches]) for name in batches[0]}
        return scorer_of(SCORES["combined"], found).threshold(0.05)

    benchmark.pedantic(learn, rounds=1)
