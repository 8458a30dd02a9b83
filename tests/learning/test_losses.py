import pytest
import torch
from samples import SETTINGS
from torch.autograd import grad

from moleflow.flow.affine import twice_differentiable
from moleflow.flow.density import Density, Likelihood
from moleflow.learning.losses import MARGIN, Seen, annealed, center, clean, margin, objective, tail_aware_loss
from moleflow.learning.score_matching import denoising

NLL = torch.arange(32.0).view(2, 4, 4)
LOG_DET = torch.full((2, 4, 4), 3.0)
CHANNELS = 8


def loss(nll=NLL, **changes):
    arguments = {"tail_weight": 0.7, "tail_ratio": 0.125, "lambda_logdet": 0.0, "focal_gamma": 0.0, "dsm_weight": 0.0}
    return tail_aware_loss(nll, LOG_DET, **{**arguments, **changes}).item()


def test_weight_zero_is_the_mean_nll():
    assert loss(tail_weight=0.0) == pytest.approx(15.5)


def test_weight_one_is_the_mean_of_each_images_largest():
    assert loss(tail_weight=1.0) == pytest.approx((14.5 + 30.5) / 2)  # k = 16 · 0.125 = 2


def test_between_it_is_their_mixture_on_the_same_scale():
    assert loss() == pytest.approx(0.3 * 15.5 + 0.7 * 22.5)


def test_tail_has_at_least_one_patch():
    assert loss(tail_weight=1.0, tail_ratio=0.001) == pytest.approx((15 + 31) / 2)


def test_log_det_is_penalized_by_its_square_and_zero_leaves_it_free():
    assert loss(lambda_logdet=0.5) - loss() == pytest.approx(0.5 * 9)


def test_focal_weighs_patches_within_their_image_without_a_gradient():
    images = torch.tensor([[[0.0, 1.0], [2.0, 4.0]], [[-8.0, -6.0], [-4.0, 0.0]]], requires_grad=True)
    expected = torch.tensor([0.0 + 1 * 0.25**2 + 2 * 0.5**2 + 4, 0.0 - 6 * 0.25**2 - 4 * 0.5**2 + 0]) / 4
    arguments = {"tail_weight": 0.0, "tail_ratio": 0.5, "lambda_logdet": 0.0, "focal_gamma": 2.0, "dsm_weight": 0.0}
    found = tail_aware_loss(images, LOG_DET[:, :2, :2], **arguments)
    assert found.item() == pytest.approx(expected.mean().item())
    (slopes,) = grad(found, images)
    assert slopes.flatten().tolist() == pytest.approx([0, 0.25**2 / 8, 0.5**2 / 8, 1 / 8] * 2)
    assert loss(torch.full((2, 4, 4), 5.0), focal_gamma=1.0) == 0, (
        "an image whose patches are alike has no least likely"
    )


def seen_of(nll, painted=None):
    likelihood = Likelihood(torch.ones(*nll.shape, CHANNELS), torch.zeros_like(nll))
    far = None if painted is None else likelihood._replace(log_det=likelihood.nll - painted)
    return Seen(None, torch.zeros(*nll.shape, CHANNELS), likelihood, nll, far, None)


def test_center_is_the_mean_square_of_the_latents_and_clean_the_mean_nll():
    assert center(seen_of(NLL)).item() == pytest.approx(CHANNELS)
    assert clean(seen_of(NLL)).item() == pytest.approx(15.5)


def test_a_margin_asks_the_tails_of_painted_images_to_be_higher():
    wanted = MARGIN * CHANNELS
    for above, expected in ((wanted + 1, 0.0), (wanted - 1, 1.0), (0.0, wanted)):
        found = margin(seen_of(NLL, painted=NLL + above), tail_ratio=0.125).item()
        assert found == pytest.approx(expected, abs=1e-3)
    local = NLL.clone()
    local[:, 0, 0] += 100  # one patch of sixteen
    assert margin(seen_of(NLL, painted=local), tail_ratio=0.0625).item() == 0


def test_a_weight_of_two_numbers_goes_from_the_first_to_the_last():
    assert [annealed([0.2, 0.6], progress) for progress in (0.0, 0.5)] == pytest.approx([0.2, 0.4])
    assert annealed(0.3, 0.9) == 0.3


def test_a_weight_that_begins_at_0_is_told_from_the_first_step_on():
    terms = objective(seen_of(NLL), SETTINGS | {"center_weight": [0.0, 1.0]}, 0.0)[1]
    assert {name: term.item() for name, term in terms.items()} == {"center": 0.0}


def untangled():
    """A density whose patches know nothing of their neighbors, moved away from its start."""
    settings = SETTINGS | {"couplings": 2, "context": [], "coupling_context": "scale", "scale_context_kernel": 0}
    density = Density(CHANNELS, settings, first=True, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in density.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return density


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_score_of_a_normal_distribution_is_matched_exactly():
    density = Density(CHANNELS, SETTINGS | {"couplings": 1, "dia_blocks": 0, "context": []}, first=True, seed=0)
    aligned = torch.randn(3, 4, 4, CHANNELS, generator=drawn(5))
    with torch.no_grad():
        for name, parameter in density.named_parameters():
            if name.startswith("flow."):
                parameter.zero_()  # z = a: log p = −½‖a‖² + a constant
    found = denoising(density, aligned, sigmas=[0.5, 0.5], projections=0, generator=drawn())
    generator = drawn()
    torch.rand(3, 1, 1, 1, generator=generator)
    noise = torch.randn(aligned.shape, generator=generator)
    expected = (noise - 0.5 * (aligned + 0.5 * noise)).square().sum(-1).mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_directions_see_the_share_of_the_whole_gradient_that_lies_along_them():
    density, aligned = untangled(), torch.randn(4, 6, 6, CHANNELS, generator=drawn(5))
    for sigma in (0.01, 0.3):
        arguments = {"sigmas": [sigma, sigma]}
        whole = denoising(density, aligned, projections=0, generator=drawn(), **arguments).item()
        along = denoising(density, aligned, projections=400, generator=drawn(), **arguments).item()
        assert CHANNELS * along == pytest.approx(whole, rel=0.1)


def test_both_forms_have_the_same_gradient_on_average():
    density, aligned = untangled(), torch.randn(4, 6, 6, CHANNELS, generator=drawn(5))
    learning = [parameter for name, parameter in density.named_parameters() if name.startswith("flow.")]
    gradients = []
    for projections, factor in ((0, 1), (400, CHANNELS)):
        term = denoising(density, aligned, sigmas=[0.3, 0.3], projections=projections, generator=drawn())
        found = grad(factor * term, learning, allow_unused=True)
        gradients.append(torch.cat([each.flatten() for each in found if each is not None]))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.98


def test_the_smallest_noise_drowns_nothing():
    density, aligned = untangled(), torch.randn(4, 6, 6, CHANNELS, generator=drawn(5))
    for projections, expected in ((0, CHANNELS), (50, 1)):  # ‖ε‖²: at no noise the score itself is nothing
        found = denoising(density, aligned, sigmas=[1e-3, 1e-3], projections=projections, generator=drawn()).item()
        assert found == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("projections", [0, 1])
def test_the_alignment_learns_from_score_matching(projections):
    density = untangled()
    aligned, _ = density.align(torch.randn(4, 6, 6, CHANNELS, generator=drawn(5)))
    denoising(density, aligned, sigmas=[0.1, 1.0], projections=projections, generator=drawn()).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in density.alignment.parameters())


def test_twice_differentiable_steps_compute_the_same():
    density, x = untangled(), torch.randn(2, 4, 4, CHANNELS, generator=drawn(5))
    found = []
    for way in (torch.enable_grad, twice_differentiable):
        density.zero_grad()
        with way():
            nll = density(x).nll
        nll.sum().backward()
        found.append([nll.detach(), *(each.grad for each in density.parameters() if each.grad is not None)])
    assert all(torch.allclose(one, other, rtol=1e-4, atol=1e-4) for one, other in zip(*found, strict=True))


def test_score_matching_takes_its_weight_from_the_likelihood_and_no_term_draws_without_a_weight():
    density, x = untangled(), torch.randn(2, 4, 4, CHANNELS, generator=drawn(5))
    aligned, log_det = density.align(x)
    found = density.judge(aligned, log_det)

    def of(generator, **changes):
        return objective(Seen(density, aligned, found, found.nll, None, generator), SETTINGS | changes, 0.5)

    generator = drawn()
    plain, terms = of(generator, lambda_logdet=0.0)
    assert terms == {}
    assert generator.get_state().equal(drawn().get_state())
    total, terms = of(drawn(), lambda_logdet=0.0, dsm_weight=[0.2, 0.6])
    assert terms.keys() == {"dsm"}
    assert (total - terms["dsm"]).item() == pytest.approx(0.6 * plain.item(), rel=1e-4)
