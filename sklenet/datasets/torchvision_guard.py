"""Import of torchvision with a build of torch that it was not compiled for.

torchvision's wheels are compiled against one build of torch. With another build, such as a
CPU build, its compiled operators are not registered, and its import fails when it registers
the derivatives of two of them. sklenet does not use these operators, so it is sufficient to
define their schemas. If torchvision can be imported without them, nothing is changed.
"""

import sys
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# The definitions are removed when this object is garbage collected.
_definitions: torch.library.Library | None = None


def import_torchvision() -> ModuleType:
    """Import and return torchvision, after defining missing operator schemas."""
    global _definitions
    try:
        import torchvision
    except RuntimeError as error:
        if "operator torchvision::" not in str(error) or _definitions is not None:
            raise
        for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
            del sys.modules[name]  # only partly imported
        _definitions = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _SCHEMAS:
            _definitions.define(schema)
        import torchvision
    return torchvision
