"""14. Names of backbones as timm changed them, and as its users write them."""

import pytest
import torch

from moleflow.backbones.backbone import Backbone, BackboneError, _deprecated_models, check_backbone, timm


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tf_efficientnet_b0_ns", "tf_efficientnet_b0_ns is called tf_efficientnet_b0.ns_jft_in1k by timm now"),
        ("convnext_tiny_in22ft1k", "is called convnext_tiny.fb_in22k_ft_in1k by timm now; use that name"),
        ("vit_base_patch16_224_dino", "is called vit_base_patch16_224.dino by timm now"),
        ("resnet18.a9_in1k", "has a tag that timm does not know; it knows resnet18.a1_in1k"),
        ("timm/resnet18.a1_in1k", "for one of the Hugging Face hub use hf-hub:timm/resnet18.a1_in1k"),
        ("local-dir:/nowhere", r"local-dir:/nowhere cannot be loaded \(Config file not found"),
    ],
)
def test_14_a_name_that_timm_no_longer_knows_is_refused_with_todays(name, said):
    with pytest.raises(BackboneError, match=said):
        check_backbone(name, [1, 2], "hub", 64)


def test_14_every_renamed_model_of_timm_is_told():
    assert len(_deprecated_models) > 100
    for old, new in _deprecated_models.items():
        with pytest.raises(BackboneError, match=new.split(".")[0] if new else "timm has no model"):
            check_backbone(old, [1, 2], "hub", 64)


def test_14_the_hub_is_asked_as_timm_asks_it(monkeypatch, tmp_path):
    """Without a network it says so; the rest is timm's, and is tried with a folder of the same form."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match=r"hf-hub:timm/resnet18\.a1_in1k cannot be loaded .*local-dir:/path"):
        check_backbone("hf-hub:timm/resnet18.a1_in1k", [1, 2], "hub", 64)


def test_14_a_folder_as_the_hub_holds_it_is_a_backbone(tmp_path):
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=3)
    timm.models.save_for_hf(model, tmp_path, safe_serialization=True)
    name = f"local-dir:{tmp_path}"
    assert [each.shape[1] for each in check_backbone(name, [1, 2], "hub", 64)] == [64, 128]
    images = torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8)
    sources = ("hub", str(tmp_path / "model.safetensors"))
    maps = [Backbone(name, [1, 2], source, img_size=64, device=torch.device("cpu"))(images) for source in sources]
    reference = timm.create_model("resnet10t", features_only=True, out_indices=[1, 2]).eval()
    reference.load_state_dict({key: model.state_dict()[key] for key in reference.state_dict()})
    mean, std = (torch.tensor(model.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        expected = reference((images / 255 - mean) / std)
    for found in maps:
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
