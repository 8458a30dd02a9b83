"""Named sets of parameters: backbones with the keys that suit them, and recipes of the lab diary.

For the diary see docs/method.md, What the lab diary found.
"""

from typing import Any, NamedTuple

Preset = dict[str, Any]


class About(NamedTuple):
    """What `moleflow preset` says of a preset.

    Attributes:
        what: what it is.
        record: where it was recorded, and its numbers: image AUROC / pixel AUROC / pixel AP, as many as there are.
        needs: its weights, and what else it takes.
    """

    what: str
    record: str
    needs: str


LITE0: Preset = {
    "backbone": "tf_efficientnet_lite0.in1k",
    "backbone_weights": "package",
    "layers": [1, 2, 3],
    "img_size": 224,
    "tiles": 1,
    "layer_merge": "concat",
    "neighborhood": 3,
    "embed_dim": 176,
    "grid": 28,
    "standardize": "whiten",
    "alignment": "affine",
    "flow_layers": 2,
    "memory_size": 2000,
    "memory_center": "position",
    "gaussian_rank": 10,
    "score": "probe",
    "image_level": 25.0,
    "context": ["mixer"],
    "couplings": 6,
    "scale_context_kernel": 5,
    "dia_blocks": 2,
    "lora_rank": 64,
    "lora_alpha": 64.0,
    "epochs": 8,
    "lr": 1e-3,
    "batch_size": 16,
    "precision": "fp32",
    "tail_weight": 0.7,
    "tail_ratio": 0.02,
    "lambda_logdet": 1e-4,
    "top_k": 3,
}
FAST: Preset = {**LITE0, "img_size": 160, "grid": 20}
FINE: Preset = {**LITE0, "img_size": 320, "grid": 40}
LITE2: Preset = {**LITE0, "backbone": "tf_efficientnet_lite2.in1k", "embed_dim": 192}
# Twice the view, a larger backbone, and its layer of stride 32. Gaussians per position would take 34 MB an expert and
# judge products that lie freely worse; by lite0, centers ranked images worse (docs/tried.md).
ACCURATE: Preset = {
    **LITE2,
    "layers": [1, 2, 3, 4],
    "img_size": 448,
    "embed_dim": 544,
    "grid": 56,
    "memory_center": "none",
    "gaussian_rank": 0,
}
# What presets with finer views take, of the default's time (docs/quality.md, Resolution).
TIMES = {"fine": 1.9, "accurate": 4}
VIT_S: Preset = {
    **LITE0,
    "backbone": "vit_small_patch14_dinov2.lvd142m",
    "layers": [4, 6, 8],  # the last blocks of the packaged weights were tuned to saliency
    "layer_merge": "mean",
    "embed_dim": 384,
    "grid": 0,
    "flow_layers": 0,
    "precision": "bf16",
}
# The lab diary's recipe: its LoRA was nearly inert, and nothing was standardized.
DIARY: Preset = {
    "backbone_weights": "hub",
    "img_size": 224,
    "tiles": 1,
    "layer_merge": "mean",
    "neighborhood": 3,
    "embed_dim": 768,
    "grid": 0,
    "standardize": "none",
    "alignment": "layer_norm",
    "flow_layers": 0,
    "memory_size": 0,
    "memory_center": "none",
    "gaussian_rank": 0,
    "score": "nll",
    "image_level": 0.0,
    "context": ["mixer"],
    "couplings": 8,
    "scale_context_kernel": 5,
    "dia_blocks": 4,
    "lora_rank": 64,
    "lora_alpha": 1.0,
    "epochs": 60,
    "lr": 3e-4,
    "batch_size": 16,
    "precision": "bf16",
    "tail_weight": 0.7,
    "tail_ratio": 0.02,
    "lambda_logdet": 1e-4,
    "top_k": 3,
}
# The same recipe on the default's features, for as many epochs as the default; docs/quality.md compares with it.
ORIGINAL: Preset = {
    **LITE0,
    "standardize": "none",
    "alignment": "layer_norm",
    "flow_layers": 0,
    "memory_size": 0,
    "memory_center": "none",
    "gaussian_rank": 0,
    "score": "nll",
    "image_level": 0.0,
    "lora_alpha": 1.0,
    "lr": 3e-4,
    "precision": "bf16",
}
# The default's features and flow, scored by one of its parts.
FLOW: Preset = {**LITE0, "score": "nll"}
MEMORY: Preset = {**LITE0, "score": "memory"}
WRN50_28: Preset = {**DIARY, "backbone": "wide_resnet50_2.racm_in1k", "layers": [2, 3]}
WRN50_56: Preset = {**WRN50_28, "layers": [1, 2, 3]}
VIT_B: Preset = {
    **DIARY,
    "backbone": "vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "layers": [8, 9, 10, 11],
    "neighborhood": 1,
    "lr": 2e-4,
}
# Records of the diary, by the sizes and weights that it names.
DIARY_DEFAULT: Preset = {**WRN50_28, "couplings": 10, "epochs": 80}
MOLE6_DIA2: Preset = {**WRN50_28, "couplings": 6, "dia_blocks": 2}
MAX_PIXEL_AP: Preset = {**WRN50_28, "tail_weight": 0.75, "top_k": 5, "lr": 2e-4}
MAX_IMAGE_AUROC: Preset = {
    **WRN50_28,
    "couplings": 10,
    "dia_blocks": 5,
    "lora_rank": 128,
    "tail_weight": 0.55,
    "tail_ratio": 0.03,
    "epochs": 80,
}
VISA_IMAGE: Preset = {**VIT_B, "couplings": 12, "dia_blocks": 8, "lora_rank": 128, "lr": 8e-5, "epochs": 100}
VISA_PIXEL: Preset = {
    **WRN50_28,
    "lambda_logdet": 2e-4,
    "scale_context_kernel": 7,
    "tail_weight": 0.6,
    "lr": 2e-4,
    "epochs": 80,
}
VIT_384: Preset = {
    **VIT_B,
    "backbone": "vit_base_patch16_384.augreg_in21k_ft_in1k",
    "img_size": 384,
    "couplings": 12,
    "epochs": 80,
    "batch_size": 8,
}
V8: Preset = {
    **VIT_B,
    "backbone": "vit_base_patch14_dinov2.lvd142m",
    "img_size": 518,
    "alignment": "film",
    "context": [],
    "lr": 1e-4,
    "epochs": 40,
}

PRESETS = {
    "lite0": LITE0,
    "fast": FAST,
    "fine": FINE,
    "accurate": ACCURATE,
    "lite2": LITE2,
    "vit_s": VIT_S,
    "original": ORIGINAL,
    "flow": FLOW,
    "memory": MEMORY,
    "wrn50_28": WRN50_28,
    "wrn50_56": WRN50_56,
    "vit_b": VIT_B,
    "diary_default": DIARY_DEFAULT,
    "mole6_dia2": MOLE6_DIA2,
    "max_pixel_ap": MAX_PIXEL_AP,
    "max_image_auroc": MAX_IMAGE_AUROC,
    "visa_image": VISA_IMAGE,
    "visa_pixel": VISA_PIXEL,
    "vit_384": VIT_384,
    "v8": V8,
}

_HERE, _DIARY = "docs/quality.md", "the lab diary"
_PACKAGED, _WRN, _VIT = "packaged weights", "weights from the hub, 276 MB", "weights from the hub, 346 MB"
ABOUT = {
    "lite0": About("the default", _HERE, _PACKAGED),
    "fast": About("the default's view at 160 pixels", f"{_HERE}, Resolution", _PACKAGED),
    "fine": About(
        "the default's view at 320 pixels", f"{_HERE}, Resolution", f"{_PACKAGED}; {TIMES['fine']} times the time"
    ),
    "accurate": About(
        "lite2 at 448 pixels, with stride 32",
        f"{_HERE}, Resolution",
        f"{_PACKAGED} (pip install -e .[backbones]); {TIMES['accurate']} times the time",
    ),
    "lite2": About("a larger EfficientNet-lite", f"{_HERE}, Resolution", f"{_PACKAGED} (pip install -e .[backbones])"),
    "vit_s": About("a ViT-S/14", f"{_HERE}, Resolution", f"{_PACKAGED} (pip install -e .[backbones])"),
    "original": About("the lab diary's recipe on the default's backbone", _HERE, _PACKAGED),
    "flow": About("the default, judged by the flow alone", _HERE, _PACKAGED),
    "memory": About("the default, judged by memory banks alone", _HERE, _PACKAGED),
    "wrn50_28": About("the diary's recipe, wide ResNet, 28×28", f"{_DIARY}: MVTec 0.983/0.978/0.542", _WRN),
    "wrn50_56": About("the same, 56×56", _DIARY, f"{_WRN}; four times the memory of wrn50_28"),
    "vit_b": About("the diary's recipe, ViT-B/16", f"{_DIARY}: four classes 0.782/0.909/0.234", _VIT),
    "diary_default": About("declared the default on 2026-01-03", _DIARY, _WRN),
    "mole6_dia2": About("6 couplings, 2 DIA blocks", f"{_DIARY}: MVTec 0.981/0.978/0.558", _WRN),
    "max_pixel_ap": About("tuned for pixel AP", f"{_DIARY}: MVTec 0.981/–/0.545", _WRN),
    "max_image_auroc": About("tuned for image AUROC", f"{_DIARY}: MVTec 0.984/–/0.524", _WRN),
    "visa_image": About("tuned for VisA's image AUROC", f"{_DIARY}: VisA 0.907/–/0.253", _VIT),
    "visa_pixel": About("tuned for VisA's pixel AP", f"{_DIARY}: VisA 0.876/–/0.304", _WRN),
    "vit_384": About("ViT-B/16 at 384 pixels", f"{_DIARY}: four classes 0.853/0.960/0.305", _VIT),
    "v8": About("DINOv2 at 518 pixels, FiLM, no mixer", f"{_DIARY}: MVTec 0.897/0.910/0.353", _VIT),
}
