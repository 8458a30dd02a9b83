"""Files of base and experts: what was learned is what is loaded, and what does not belong together is refused."""

import pytest
import torch
from samples import CPU, SETTINGS, density_arguments, normal_patches

from moleflow.features.relative_likelihood import RelativeLikelihood
from moleflow.files.artifacts import ArtifactError
from moleflow.files.tensor_file import load_tensors, save_tensors
from moleflow.flow.density import base_state, expert_state
from moleflow.flow.expert_files import load_base, load_expert, save_base, save_expert

RELATIVE = RelativeLikelihood(torch.arange(4.0), torch.ones(4))


@pytest.fixture
def saved(make_density, tmp_path):
    """A base and an expert on disk."""
    density, arguments = make_density(), density_arguments()
    generator = torch.Generator().manual_seed(0)
    expert = expert_state(density)
    for value in expert.values():
        value.detach().add_(0.1 * torch.randn(value.shape, generator=generator))
    save_base(tmp_path / "base", density, arguments)
    other = {name: value + 1 for name, value in expert.items()}
    links = {
        "normal_patches": [{"bolt": normal} for normal in normal_patches()],
        "relatives": [{"bolt": RELATIVE}, {}],
        "base": tmp_path / "base",
        "features": {"bolt": "f"},
    }
    save_expert(tmp_path / "bolt", [expert, other], arguments, **links)
    return tmp_path, density


def test_base_and_expert_together_are_the_density_that_was_trained(saved):
    folder, density = saved
    (first, second), *_ = load_expert(folder / "base", folder / "bolt", product="bolt", device=CPU)
    x = torch.randn(12, 3, 3, 8, generator=torch.Generator().manual_seed(0))
    assert first(x).nll.equal(density(x).nll)
    assert not second(x).nll.equal(density(x).nll)
    assert not any(parameter.requires_grad for parameter in [*first.parameters(), *second.parameters()])


def test_every_fold_remembers_its_own_patches_layer_by_layer(saved):
    folder, _ = saved
    _, (first, second), relatives = load_expert(folder / "base", folder / "bolt", product="bolt", device=CPU)
    for loaded, saved_before in zip((first, second), normal_patches(), strict=True):
        tensors = saved_before.tensors()
        assert loaded.tensors().keys() == tensors.keys()
        assert all(tensor.equal(tensors[name]) for name, tensor in loaded.tensors().items())
    assert relatives[0].mean.equal(RELATIVE.mean)
    assert relatives[1] is None
    _, of_another, relatives = load_expert(folder / "base", folder / "bolt", product="nut", device=CPU)
    assert not any(normal.tensors() for normal in of_another)
    assert relatives == [None, None]


def test_a_new_expert_over_a_stored_base_may_have_another_size(saved):
    folder, density = saved
    own = {"lora_rank": 4, "lora_alpha": 4.0, "dia_blocks": 0}
    fresh, arguments = load_base(folder / "base", own, 5, CPU)
    assert arguments == {"channels": 8, "settings": {**SETTINGS, **own}, "first": False, "seed": 5}
    assert not [name for name in expert_state(fresh) if name.startswith("dia.")]
    assert all(base_state(fresh)[name].equal(value) for name, value in base_state(density).items())


def rewritten(path, change):
    tensors, metadata = load_tensors(path, path.name.replace("bolt", "expert"))
    save_tensors(path, path.name.replace("bolt", "expert"), change(tensors), metadata)


def test_a_base_that_lacks_a_tensor_or_has_one_too_many_is_refused(saved):
    folder, _ = saved
    size = {"lora_rank": 2, "lora_alpha": 2.0, "dia_blocks": 2}
    rewritten(folder / "base", lambda tensors: {name: tensors[name] for name in tensors if name != "context.mixer.mix"})
    with pytest.raises(ArtifactError, match=r"base lacks context\.mixer\.mix; delete it and run `dvc repro`"):
        load_base(folder / "base", size, 0, CPU)
    rewritten(folder / "base", lambda tensors: {**tensors, "context.mixer.mix": torch.ones(()), "more": torch.ones(1)})
    with pytest.raises(ArtifactError, match="base has an unknown more"):
        load_base(folder / "base", size, 0, CPU)


def test_an_expert_that_lacks_a_tensor_is_refused(saved):
    folder, _ = saved
    rewritten(folder / "bolt", lambda tensors: {name: tensors[name] for name in tensors if name != "1/alignment.gain"})
    with pytest.raises(ArtifactError, match=r"bolt lacks alignment\.gain"):
        load_expert(folder / "base", folder / "bolt", product="bolt", device=CPU)


def test_expert_over_another_base_is_refused(saved, make_density):
    folder, _ = saved
    save_base(folder / "base", make_density(seed=3), {})
    with pytest.raises(ArtifactError, match=r"bolt was learned over another base than .*base; run `dvc repro`"):
        load_expert(folder / "base", folder / "bolt", product="bolt", device=CPU)


def test_a_file_of_code_that_lacked_a_setting_is_refused_with_its_name(saved):
    folder, density = saved
    arguments = density_arguments()
    settings = {key: value for key, value in arguments["settings"].items() if key != "context"}
    save_base(folder / "base", density, {**arguments, "settings": settings})
    with pytest.raises(ArtifactError, match=r"base comes from code that did not know 'context'; run `dvc repro`"):
        load_base(folder / "base", {}, 0, CPU)
