"""The lab diary's variants, by the sections of their specification: what each changes, and the diary's number.

Numbers are image AUROC, pixel AUROC and pixel AP, as many as there are, of the last task: pilot3 = leather, grid and
transistor, pilot4 = these and screw, both with a ViT; wrn15 = the 15 classes of MVTec AD with wide_resnet50_2.
docs/method.md has the formulas, and why sections 1.4 and 3.7 need no code.
"""

from typing import Any, NamedTuple


class Variant(NamedTuple):
    """One value of the specification.

    Attributes:
        changes: keys of params.yaml.
        diary: the diary's number.
    """

    changes: dict[str, Any]
    diary: str


UNMEASURED = "not measured"

VARIANTS = {
    "1.1 instance_mlp": Variant({"alignment": "instance_mlp"}, "pilot3 0.829/0.863"),
    "1.2 film": Variant({"alignment": "film"}, "pilot3 0.784/0.878, after a repair 0.833/0.917"),
    "1.3 soft_norm": Variant({"alignment": "soft_norm"}, "pilot3 0.803/0.917"),
    "1.4 affine": Variant({"alignment": "affine"}, "pilot3 0.848/0.922, with LayerNorm 0.890/0.936"),
    "1.5 identity": Variant({"identity_weight": 1.0}, UNMEASURED),
    "2.0 no context": Variant({"context": []}, "pilot3 0.802/0.914, with mixer 0.817/0.917"),
    "2.1 mixer 5": Variant({"mixer_kernel": 5}, "wrn15 0.961/–/0.514, with 3 0.981/–/0.558"),
    "2.1 mixer 7": Variant({"mixer_kernel": 7}, "wrn15 0.909/–/0.443"),
    "2.2 ms_context": Variant({"context": ["ms_context"]}, "pilot3 0.432/0.407, learning in every task"),
    "2.3 task_ms_context": Variant(
        {"context": ["task_ms_context"]}, "pilot3 0.835/0.914/0.209, without 0.877/0.937/0.286"
    ),
    "2.4 adaptive_mixer": Variant({"context": ["adaptive_mixer"]}, UNMEASURED),
    "2.5 global": Variant({"context": ["mixer", "global"]}, "wrn15 0.980/0.974/0.471, without 0.979/0.974/0.474"),
    "2.6 semantic": Variant({"context": ["semantic", "mixer"]}, "wrn15 0.979/0.973/0.453, without 0.979/0.974/0.474"),
    "2.7 patch_attention": Variant({"context": ["patch_attention"]}, "pilot3 0.778/0.865, without 0.784/0.878"),
    "3.1 both": Variant({"coupling_context": "both"}, "pilot3 0.731/0.814, with lora_grid"),
    "3.1 both_fixed": Variant({"coupling_context": "both_fixed"}, "pilot3 0.732/0.851, with lora_grid"),
    "3.1 both_attention": Variant({"coupling_context": "both_attention"}, UNMEASURED),
    "3.2 lora_grid": Variant({"lora_grid": 4, "lora_rank": 32, "lora_alpha": 32.0}, "with 3.1 only"),
    "3.3 context_gate": Variant({"context_gate": 64}, "pilot3 0.797/0.914/0.192, one strength 0.802/0.914/0.192"),
    "3.4 full": Variant({"expert_weights": "full"}, UNMEASURED),
    "3.5 spectral_bound": Variant({"spectral_bound": 1.0}, UNMEASURED),
    "3.6 dia_hidden": Variant({"dia_hidden": 0.75}, UNMEASURED),
    "3.7 no task bias": Variant({"task_bias": False}, UNMEASURED),
    "4.0 no position": Variant({"position": "none"}, "wrn15 0.974/–/0.540, with 0.981/–/0.558"),
    "4.1 relative": Variant({"position": "relative"}, "pilot4 0.753/0.902/0.193"),
    "4.2 content": Variant({"position": "content"}, "pilot4 0.755/0.917/0.205"),
    "4.3 hybrid": Variant({"position": "hybrid"}, "pilot4 0.748/0.917/0.185"),
    "4.4 tape": Variant({"position": "tape"}, "pilot4 0.784, strengths not learned"),
    "4.4 tape, lr × 100": Variant({"position": "tape", "position_lr": 100.0}, "pilot4 0.772"),
    "5.1 focal": Variant({"focal_gamma": 1.0}, "pilot3 0.808/0.859/0.164 in another form, without 0.784/0.878/0.155"),
    "5.2 center": Variant({"center_weight": 0.05}, "pilot3 0.784/0.878/0.155, without the same"),
    "5.3 dsm": Variant({"dsm_weight": 0.3}, UNMEASURED),
    "5.3 dsm, whole gradient": Variant({"dsm_weight": 0.3, "dsm_projections": 0}, UNMEASURED),
    "5.3 dsm, one noise": Variant({"dsm_weight": 0.3, "dsm_sigma": [0.1, 0.1]}, UNMEASURED),
    "5.3 dsm, annealed": Variant({"dsm_weight": [0.2, 0.5]}, UNMEASURED),
    "5.3 dsm alone": Variant({"dsm_weight": 1.0}, UNMEASURED),
    "5.3 dsm, clean": Variant({"dsm_weight": 0.3, "dsm_clean_weight": 0.1}, UNMEASURED),
    "5.4 margin": Variant(
        {"margin_weight": 1.0, "painted_images": 16}, "pilot3 0.873/0.936/0.287, without 0.874/0.936/0.287"
    ),
}


class Judged(NamedTuple):
    """One value that changes how images are judged.

    Attributes:
        changes: keys of params.yaml.
        stages: that run again, besides check, evaluate and report.
        results: what differs then, in tests/pipeline/test_variants.py; empty if another test says it.
        diary: the diary's number.
    """

    changes: dict[str, Any]
    stages: tuple[str, ...]
    results: set[str]
    diary: str


ROUTING = ("route", "misrouted", "baseline")
STATISTICS = ("statistics", "misrouted", "score")
LEARNING = ("base", "train", *STATISTICS)
EVERYTHING = ("extract", "probe", "prototype", *LEARNING, "route", "baseline")
JUDGED = {
    "7.0 mahalanobis": Judged({"router": "mahalanobis"}, ROUTING, {"distances"}, "wrn15 99.8 to 100 % right"),
    "7.1 two_stage": Judged({"router": "two_stage", "router_candidates": 3}, ROUTING, {"routes", "asked"}, UNMEASURED),
    "7.2 regional": Judged({"router": "regional", "router_regions": 2}, ROUTING, {"distances"}, UNMEASURED),
    "8.1 dual": Judged(
        {"branches": "dual", "score": "dual"},
        LEARNING,
        {"image scores", "patch scores", "pixel thresholds"},
        "pilot4 0.49/0.397/0.022, its second branch not learned",
    ),
    "8.4 consistency": Judged({"consistency": [3]}, ("score",), {"image scores"}, "pilot4 0.788/0.908, without 0.788"),
    "8.5 multi-scale consistency": Judged({"consistency": [3, 5, 7]}, ("score",), {"image scores"}, "pilot4 0.78"),
    "8.6 orientations": Judged(
        {"orientations": 4},
        STATISTICS,
        {"image scores", "patch scores", "pixel thresholds", "others' statistics"},
        "15 classes 0.879/0.920; pilot4 0.788/0.908, without 0.788",
    ),
    "8.9 smoothings": Judged({"map_sigma": [2.0, 4.0]}, ("score",), {"pixel thresholds"}, UNMEASURED),
    "9.1 principal_axis": Judged({"orient": "principal_axis"}, EVERYTHING, set(), "stn pilot4 0.784, without 0.782"),
}
