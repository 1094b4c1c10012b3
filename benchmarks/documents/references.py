"""Publications whose results are compared with ours, each on a page of its own."""

from typing import NamedTuple

import pandas as pd
from rendering import read_results

from sklenet.study.report.published import format_published
from sklenet.study.report.tables import make_result_table


class Reference(NamedTuple):
    """A publication, and the studies that reproduce it.

    Parameters
    ----------
    title : str
        Heading of its page.
    page : str
        File name of its page.
    source : str
        Title, author, site or journal, and year, in Markdown.
    description : str
        What it publishes, in Markdown.
    studies : tuple of str
        Names of the studies.
    """

    title: str
    page: str
    source: str
    description: str
    studies: tuple[str, ...]


REFERENCES = (
    Reference(
        "Reference A",
        "a.md",
        '"Mastering LeNet-5 CNN Training on MNIST, Fashion-MNIST, and CIFAR-10",'
        " programming lesson, Assignment Chef, 2026.",
        "A tutorial in PyTorch on MNIST, Fashion-MNIST and CIFAR-10: ReLU, max pooling,"
        " Adam, batches of 64, 20 epochs. It compares learning rates, weight decays and"
        " initializations, and classifies negative images.",
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
        "b.md",
        'Jayita Bhattacharyya, "Complete Tutorial On LeNet-5: Guide To Begin With CNNs",'
        " Analytics India Magazine.",
        "A tutorial in Keras on MNIST: 3x3 kernels, tanh, average pooling, one hidden layer"
        " of 128 units, 53,558 weights, each column of pixels divided by its norm; 10"
        " epochs. The study compares its accuracy per epoch with ours.",
        ("reference_b",),
    ),
    Reference(
        "Reference C",
        "c.md",
        'Saif Ali, "LeNet-5: A complete guide", Educative, 2024.',
        "A guide in Keras on MNIST: 5x5 kernels without padding, ReLU, max pooling, 44,426"
        " weights, validation on the first tenth of the training set; 10 epochs. It"
        " publishes no results. The study reports ours, also per class.",
        ("reference_c",),
    ),
    Reference(
        "Reference D",
        "d.md",
        "The GitHub repository cx-olquinjica/LeNet-5 and its README.",
        'A repository, "LeNet-5 with modern techniques", on MNIST: sigmoid or ReLU, average'
        " or max pooling, weight decay, early stopping; three learning curves on"
        " Fashion-MNIST.",
        ("reference_d", "reference_d_announced", "reference_d_fashion"),
    ),
    Reference(
        "The paper of 1998",
        "1998.md",
        "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, *Gradient-Based Learning Applied to"
        " Document Recognition*, Proceedings of the IEEE 86(11), 2278-2324, 1998,"
        " [doi:10.1109/5.726791](https://doi.org/10.1109/5.726791).",
        "The original network, on MNIST: trainable subsampling, partial connections, radial"
        " basis functions, and stochastic diagonal Levenberg-Marquardt; 20 epochs."
        " `docs/lenet5_1998.md` describes what is faithful to it.",
        (
            "lecun1998",
            "lecun1998_distortions",
            "lecun1998_modern",
            "lecun1998_parts",
            "lenet1",
        ),
    ),
)


def describe_references(studies: list[str]) -> list[dict]:
    """Return the variables of the template for each publication with results.

    Parameters
    ----------
    studies : list of str
        Names of the studies that have results.
    """
    return [
        {
            "title": reference.title,
            "page": reference.page,
            "source": reference.source,
            "description": reference.description,
            "studies": names,
            "tables": _make_tables(names),
        }
        for reference in REFERENCES
        if (names := [name for name in reference.studies if name in studies])
    ]


def _make_tables(names: list[str]) -> list[pd.DataFrame]:
    """Return the published results next to ours; if there are none, ours alone."""
    frames = {
        f"[{name}](../results/{name}/README.md)": format_published(read_results(name))
        for name in names
    }
    table = pd.concat(frames, names=["study"]).reset_index("study").fillna("")
    if len(table):
        return [table]
    return [make_result_table(read_results(name)) for name in names]
