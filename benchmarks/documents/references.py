"""What others publish, one table each: the first part of ``benchmarks/README.md``."""

from typing import NamedTuple

import pandas as pd

from sklenet.study.report.published import format_published
from sklenet.study.report.results import Results
from sklenet.study.report.tables import result_table
from sklenet.study.report.text import to_markdown_table


class Reference(NamedTuple):
    """A publication, and the studies that stand beside it."""

    title: str
    what: str
    studies: tuple[str, ...]


REFERENCES = (
    Reference(
        "Reference A",
        "A tutorial on MNIST, Fashion-MNIST and CIFAR-10 in PyTorch's style: ReLU, max"
        " pooling, Adam, batches of 64, 20 epochs; rates, weight decays and initial weights"
        " compared, and negative images.",
        (
            "reference_a",
            "reference_a_colour",
            "reference_a_settings",
            "reference_a_settings_colour",
            "negatives",
        ),
    ),
    Reference(
        "Reference B",
        "A tutorial in Keras on MNIST: 3x3 kernels, tanh, average pooling, one hidden layer"
        " of 128, 53,558 weights, each column of pixels divided by its norm; 10 epochs. Its"
        " accuracy per epoch is in the study.",
        ("reference_b",),
    ),
    Reference(
        "Reference C",
        "A guide in Keras on MNIST: 5x5 kernels without padding, ReLU, max pooling, 44,426"
        " weights, the first tenth of the training set for validation; 10 epochs. It prints"
        " no figures; ours, by class too, are in the study.",
        ("reference_c",),
    ),
    Reference(
        "Reference D",
        'A repository, "LeNet-5 with modern techniques", on MNIST: sigmoid or ReLU, average'
        " or max pooling, weight decay, early stopping; three curves on Fashion-MNIST.",
        ("reference_d", "reference_d_announced", "reference_d_fashion"),
    ),
    Reference(
        "The paper of 1998",
        "LeCun, Bottou, Bengio and Haffner; [its own page](../docs/lenet5_1998.rst).",
        (
            "lecun1998",
            "lecun1998_distortions",
            "lecun1998_modern",
            "lecun1998_parts",
            "lenet1",
        ),
    ),
)


def render(studies: dict[str, Results]) -> str:
    """Return the part, from the studies that have records."""
    parts = []
    for reference in REFERENCES:
        own = {name: studies[name] for name in reference.studies if name in studies}
        if own:
            links = {name: f"[{name}](#{name})" for name in own}
            parts += [f"## {reference.title}", reference.what]
            parts.append(f"Studies: {', '.join(links.values())}.")
            frames = {links[name]: format_published(one) for name, one in own.items()}
            table = pd.concat(frames, names=["study"]).reset_index("study").fillna("")
            if len(table):
                parts.append(to_markdown_table(table, literal=False))
            else:
                parts += map(result_table, own.values())
    return "\n\n".join(parts) + "\n"
