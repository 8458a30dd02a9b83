"""The lab diary's variants: each is set by a file, learns, keeps the laws, and changes the scores."""

from functools import cache

import pytest
import torch
from projects import ROOT
from samples import CPU, SETTINGS
from variants import VARIANTS

from moleflow.config.params import read_params
from moleflow.files.params_file import write_params
from moleflow.flow.alignments import ALIGNMENTS
from moleflow.flow.contexts import CONTEXTS
from moleflow.flow.coupling_contexts import COUPLING_CONTEXTS
from moleflow.flow.density import Density, base_parameters, base_state, expert_state, for_inference
from moleflow.flow.expert_files import load_base, load_expert, save_base, save_expert
from moleflow.flow.positions import POSITIONS
from moleflow.flow.subnets import EXPERT_WEIGHTS
from moleflow.learning.branches import train_branches
from moleflow.learning.training import Recipe
from stages.params_mistakes import all_mistakes

SIDE, CHANNELS = 6, 16
STEPS = {"epochs": 3, "warmup_epochs": 0.0, "lr": 1e-2, "batch_size": 8, "weight_decay": 0.0, "precision": "fp32"}
SMALL = {"couplings": 2, "lora_rank": 2, "lora_alpha": 2.0, "dia_blocks": 2, **STEPS}
EXPERTS_OWN = ("expert_weights", "lora_rank", "lora_alpha", "lora_grid", "task_bias", "dia_blocks", "dia_hidden")


def patches(level, seed=0):
    return level + torch.randn(8, SIDE, SIDE, CHANNELS, generator=torch.Generator().manual_seed(seed))


def copies(tensors):
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def learn(density, settings, data):
    """Trains the expert, and in the first task the base with it."""
    expert = expert_state(density)
    trained = [*(base_parameters(density) if density.first else []), *expert.items()]
    recipe = Recipe(**{key: settings[key] for key in Recipe.model_fields})
    painted = {"x": data + 3.0} if recipe.margin_weight else None
    return expert, train_branches(density, {"x": expert}, {"x": data}, trained, recipe, label="x", painted=painted)


def learn_all(density, settings, data):
    """Trains it, and looks whether everything has moved."""
    trained = [*(base_parameters(density) if density.first else []), *expert_state(density).items()]
    before = copies(dict(trained))
    expert, rows = learn(density, settings, data)
    dead = [name for name, tensor in trained if tensor.numel() and tensor.equal(before[name])]
    assert dead == [], "these never learn"
    return expert, rows


def said(density, level):
    """What the branches of a density say of other patches."""
    branches = [branch for branch in (density, density.free) if branch is not None]
    return torch.stack([branch(patches(level, seed=1)).nll for branch in branches])


def history(folder, changes):
    """A first task and a later one over its base: the judgments of both, all tensors, and the curves."""
    settings = SETTINGS | SMALL | changes
    arguments = {"channels": CHANNELS, "settings": settings, "first": True, "seed": 0}
    density = Density(**arguments)
    expert, first_rows = learn_all(density, settings, patches(-1.0))
    links = {"normal_patches": [{}], "relatives": [{}], "features": {}, "base": folder / "base"}
    save_base(folder / "base", density, arguments)
    save_expert(folder / "first", [expert], arguments, **links)
    later, arguments = load_base(folder / "base", {key: settings[key] for key in EXPERTS_OWN}, 0, CPU)
    base = copies(base_state(later))
    expert, rows = learn_all(later, settings, patches(1.0))
    assert all(base_state(later)[name].equal(tensor) for name, tensor in base.items()), "the base moved"
    save_expert(folder / "later", [expert], arguments, **links)
    judged = []
    with torch.no_grad():
        for name, level, alive in (("first", -1.0, density), ("later", 1.0, later)):
            (loaded,), *_ = load_expert(folder / "base", folder / name, product="x", device=CPU)
            judged.append(said(loaded, level))
            assert judged[-1].equal(said(alive.eval(), level)), "it is loaded as another"
            assert said(for_inference(loaded), level).equal(judged[-1]), "it is merged to another"
    return judged, [(folder / name).read_bytes() for name in ("base", "first", "later")], [first_rows, rows]


def test_each_branch_is_what_it_is_alone_and_no_later_task_moves_a_base(tmp_path):
    """The first is the density without a second, the second that of `position: none`, bit for bit."""
    made = {}
    for name, changes in (("both", {"branches": "dual"}), ("coded", {}), ("free", {"position": "none"})):
        (tmp_path / name).mkdir()
        made[name] = history(tmp_path / name, changes)
    for both, coded, free in zip(*(judged for judged, *_ in made.values()), strict=True):
        assert both.equal(torch.cat([coded, free]))
        assert not coded.equal(free)
    for both, coded, free in zip(*(curves for *_, curves in made.values()), strict=True):
        assert [row | {"free_nll": other["nll"]} for row, other in zip(coded, free, strict=True)] == [
            {name: row[name] for name in (*coded[0], "free_nll")} for row in both
        ]


@cache
def default(folder):
    return history(folder, {})[0]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What the default says of the two products."""
    return default(tmp_path_factory.mktemp("default"))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_set_by_a_file_learns_keeps_the_laws_and_changes_the_scores(name, params, tmp_path, plain):
    write_params(VARIANTS[name].changes, params)
    content = read_params(params)
    assert all_mistakes(content) == []
    changes = {key: content[key] for key in VARIANTS[name].changes}
    folders = tmp_path / "once", tmp_path / "again"
    for folder in folders:
        folder.mkdir()
    judged, files, curves = history(folders[0], changes)
    assert history(folders[1], changes)[1] == files, "two runs differ"
    assert any(not found.equal(expected) for found, expected in zip(judged, plain, strict=True)), "it changes nothing"
    assert all(torch.isfinite(found).all() for found in judged)
    assert all({"epoch", "loss", "nll", "lr"} <= row.keys() for rows in curves for row in rows)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_learns_in_a_short_precision_what_it_learns_in_fp32(name):
    """Losses of the first epoch agree to the digits that bf16 has."""
    losses = {}
    for precision in ("fp32", "bf16"):
        settings = SETTINGS | SMALL | VARIANTS[name].changes | {"precision": precision, "epochs": 1}
        density = Density(CHANNELS, settings, first=True, seed=0)
        losses[precision] = learn(density, settings, patches(-1.0))[1][0]["loss"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)


def test_every_member_and_every_key_of_the_density_is_a_variant_or_the_default():
    families = {
        "alignment": ALIGNMENTS, "context": CONTEXTS, "position": POSITIONS, "coupling_context": COUPLING_CONTEXTS,
        "expert_weights": EXPERT_WEIGHTS,
    }  # fmt: skip
    default = read_params(ROOT / "params.yaml")
    for key, members in families.items():
        values = [default[key], "none", "layer_norm", *(each.changes.get(key, []) for each in VARIANTS.values())]
        named = {name for value in values for name in (value if isinstance(value, list) else [value])}
        assert set(members) <= named, key


REPORTS = {
    "1.1 instance_mlp": "alignment_gate",
    "1.2 film": "alignment_gate",
    "1.3 soft_norm": "alignment_norm",
    "1.5 identity": "identity",
    "2.1 mixer 5": "mixer_strength",
    "2.2 ms_context": "ms_context_strength",
    "2.3 task_ms_context": "task_ms_context_strength",
    "2.4 adaptive_mixer": "adaptive_mixer_strength",
    "2.5 global": "global_strength",
    "2.6 semantic": "semantic_strength",
    "2.7 patch_attention": "patch_attention_strength",
    "3.1 both": "context_weight",
    "3.1 both_attention": "context_on_itself_max",
    "3.3 context_gate": "context_gate_std",
    "3.6 dia_hidden": "context_strength",
    "4.1 relative": "relative_share",
    "4.2 content": "content_share",
    "4.3 hybrid": "hybrid_share_min",
    "4.4 tape": "tape_strength",
    "5.2 center": "center",
    "5.3 dsm": "dsm",
    "5.3 dsm, clean": "dsm_clean",
    "5.4 margin": "margin",
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_learning_curve_tells_what_a_member_reports(name, tmp_path):
    rows = [row for curve in history(tmp_path, VARIANTS[name].changes)[2] for row in curve]
    assert len({row.get(REPORTS[name]) for row in rows}) > 2, "it is told epoch by epoch, and moves"


def test_position_lr_moves_the_position_faster_and_nothing_else():
    experts = {}
    for factor in (1.0, 100.0):
        settings = SETTINGS | SMALL | {"position": "tape", "position_lr": factor, "lr": 1e-4, "epochs": 1}
        experts[factor] = learn(Density(CHANNELS, settings, first=True, seed=0), settings, patches(-1.0))[0]
    moved = {factor: expert["position.own.strength"].abs().item() for factor, expert in experts.items()}
    assert moved[100.0] == pytest.approx(100 * moved[1.0], rel=1e-3)
    others = [name for name in experts[1.0] if not name.startswith("position.")]
    assert all(experts[1.0][name].equal(experts[100.0][name]) for name in others)


def test_the_identity_is_asked_of_the_first_task_alone():
    settings = SETTINGS | SMALL | {"alignment": "affine", "epochs": 9}
    for first in (True, False):
        departures = []
        for weight in (0.0, 1e3):
            density = Density(CHANNELS, settings, first=first, seed=0)
            learn(density, settings | {"identity_weight": weight}, patches(3.0))
            departures.append(density.alignment.departure().item())
        far, near = departures
        assert (near < 0.5 * far) if first else (near == far)
