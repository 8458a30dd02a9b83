"""Named sets of parameters: backbones with the keys that suit them, and recipes of the lab diary.

For the diary see docs/method.md, What the lab diary found.
"""

from typing import Any

Preset = dict[str, Any]

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
    "gaussian_rank": 10,
    "score": "combined",
    "image_level": 25.0,
    "couplings": 6,
    "dia_blocks": 2,
    "lora_alpha": 64.0,
    "epochs": 8,
    "lr": 1e-3,
    "precision": "fp32",
}
FAST: Preset = {**LITE0, "img_size": 160, "grid": 20}
# Twice the view, and the layer of stride 32 beside those of the default. Gaussians per position would take 31 MB an
# expert, and judge products that lie freely worse (docs/quality.md, Resolution).
ACCURATE: Preset = {
    **LITE0,
    "layers": [1, 2, 3, 4],
    "img_size": 448,
    "embed_dim": 496,
    "grid": 56,
    "gaussian_rank": 0,
    "score": "memory_relative",
}
LITE2: Preset = {**LITE0, "backbone": "tf_efficientnet_lite2.in1k", "embed_dim": 192}
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
    "gaussian_rank": 0,
    "score": "nll",
    "image_level": 0.0,
    "couplings": 8,
    "dia_blocks": 4,
    "lora_alpha": 1.0,
    "epochs": 60,
    "lr": 3e-4,
    "precision": "bf16",
}
# The same recipe on the default's features, for as many epochs as the default; docs/quality.md compares with it.
ORIGINAL: Preset = {
    **LITE0,
    "standardize": "none",
    "alignment": "layer_norm",
    "flow_layers": 0,
    "memory_size": 0,
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
# The diary does not say which blocks; these are spread evenly.
VIT_B: Preset = {
    **DIARY,
    "backbone": "vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "layers": [2, 5, 8, 11],
    "neighborhood": 1,
    "lr": 2e-4,
}

PRESETS = {
    "lite0": LITE0,
    "fast": FAST,
    "accurate": ACCURATE,
    "lite2": LITE2,
    "vit_s": VIT_S,
    "original": ORIGINAL,
    "flow": FLOW,
    "memory": MEMORY,
    "wrn50_28": WRN50_28,
    "wrn50_56": WRN50_56,
    "vit_b": VIT_B,
}
