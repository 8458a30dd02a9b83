import torch

from moleflow.evaluation.records import expert_parameters
from moleflow.flow.density import expert_state
from moleflow.flow.expert_files import save_base, save_expert


def test_an_experts_parameters_are_those_of_all_folds_and_what_it_remembers(make_density, tmp_path):
    density = make_density()
    tensors = sum(tensor.numel() for tensor in expert_state(density).values())
    save_base(tmp_path / "base", density, {})
    memory_banks = [{"bolt": [torch.ones(2, 5).half(), torch.ones(2, 3).half()]}, {"bolt": [torch.zeros(1, 8).half()]}]
    links = {"memory_banks": memory_banks, "base": tmp_path / "base", "features": {"bolt": "f"}}
    save_expert(tmp_path / "bolt", [expert_state(density), expert_state(make_density())], {}, **links)
    assert expert_parameters(tmp_path / "bolt") == 2 * tensors + 16 + 8


def test_products_that_share_an_expert_share_its_parameters(make_density, tmp_path):
    density = make_density()
    save_base(tmp_path / "base", density, {})
    links = {"memory_banks": [], "base": tmp_path / "base", "features": {"bolt": "f", "nut": "g"}}
    save_expert(tmp_path / "t1", [expert_state(density)], {}, **links)
    assert expert_parameters(tmp_path / "t1") * 2 == sum(tensor.numel() for tensor in expert_state(density).values())
