"""Makes `import torchvision` work beside a CPU build of torch.

The registry's torchvision is built for CUDA and fails at import with "operator torchvision::nms
does not exist" when torch has no CUDA. Declaring the two missing operators first avoids that; timm
uses neither.
"""

import torch

_declared: list[torch.library.Library] = []  # a library's operators vanish with the object


def repair_torchvision() -> None:
    """Declares the missing operators if the plain import fails; does nothing otherwise."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)
