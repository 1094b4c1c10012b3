"""Write all documents that contain results, from the committed records.

    python benchmarks/documents/tables.py

renders each document from its template in ``benchmarks/documents/templates/``, and the
tables of each study, which ``sklenet report`` writes as well.
"""

from pathlib import Path

import activations
import augmentation
import cost
import four_factors
import front
import ladder
import lenet5_1998
import negatives
import outcomes
import performance
import pretrained
import reading
import robustness
import security
import studies
from rendering import RESULTS, ROOT, read_results

from sklenet.study.report.tables import TABLE, render_tables


def render_documents() -> dict[Path, str]:
    """Return the text of each document that contains results."""
    modules = (
        activations,
        augmentation,
        cost,
        four_factors,
        front,
        ladder,
        lenet5_1998,
        negatives,
        outcomes,
        performance,
        pretrained,
        reading,
        robustness,
        security,
    )
    documents = {module.DOCUMENT: module.render() for module in modules}
    return (
        documents
        | studies.render_pages()
        | {
            RESULTS / name / TABLE: render_tables(read_results(name))
            for name in studies.list_studies()
        }
    )


if __name__ == "__main__":
    for path, text in render_documents().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print("wrote", path.relative_to(ROOT))
