from samples import normal_patches

from moleflow.evaluation.parameters import expert_parameters
from moleflow.flow.density import expert_state
from moleflow.flow.expert_files import save_base, save_expert


def test_an_experts_parameters_are_those_of_all_folds_and_what_it_remembers(make_density, tmp_path):
    density = make_density()
    tensors = sum(tensor.numel() for tensor in expert_state(density).values())
    save_base(tmp_path / "base", density, {})
    normal = normal_patches()
    kept = sum(tensor.numel() for each in normal for tensor in each.tensors().values() if tensor.is_floating_point())
    links = {
        "normal_patches": [{"bolt": each} for each in normal],
        "relatives": [{}, {}],
        "base": tmp_path / "base",
        "features": {"bolt": "f"},
    }
    save_expert(tmp_path / "bolt", [expert_state(density), expert_state(make_density())], {}, **links)
    assert expert_parameters(tmp_path / "bolt") == 2 * tensors + kept


def test_products_that_share_an_expert_share_its_parameters(make_density, tmp_path):
    density = make_density()
    save_base(tmp_path / "base", density, {})
    links = {"normal_patches": [], "relatives": [], "base": tmp_path / "base", "features": {"bolt": "f", "nut": "g"}}
    save_expert(tmp_path / "t1", [expert_state(density)], {}, **links)
    assert expert_parameters(tmp_path / "t1") * 2 == sum(tensor.numel() for tensor in expert_state(density).values())
