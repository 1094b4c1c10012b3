"""Import torchvision, also beside a torch build it was not compiled for.

torchvision's wheels are compiled against one build of torch. Beside another one (a CPU
build, say) its compiled operators stay unregistered, and its import stops where it
declares how two of them differentiate. sklenet uses none of these operators, so naming
their schemas is enough. Where torchvision imports by itself, nothing is changed.
"""

import sys
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# A library's definitions live as long as the object does.
_definitions: torch.library.Library | None = None


def import_torchvision() -> ModuleType:
    """Return the ``torchvision`` module, its missing operator schemas defined."""
    global _definitions
    try:
        import torchvision
    except RuntimeError as error:
        if "operator torchvision::" not in str(error) or _definitions is not None:
            raise
        for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
            del sys.modules[name]  # half imported
        _definitions = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _SCHEMAS:
            _definitions.define(schema)
        import torchvision
    return torchvision
