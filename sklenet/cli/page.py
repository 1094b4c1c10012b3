"""``sklenet page``."""

from pathlib import Path

from sklenet.cli.output import add_output_options, check_out, print_results
from sklenet.estimator import LeNet5Classifier
from sklenet.page import write_page


def add_commands(commands) -> None:
    """Add the command ``page`` to the subparsers of a parser."""
    page = commands.add_parser(
        "page",
        help="write models as an HTML page to draw on",
        description="Write saved models as one HTML page. Draw a digit on it, or drop a"
        " photo, and it shows the feature maps of every layer and the probabilities. The"
        " page works without a network connection.",
    )
    page.add_argument(
        "models",
        nargs="+",
        type=Path,
        metavar="MODEL",
        help="saved models, shown side by side under the names of their files",
    )
    page.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="HTML file to write"
    )
    page.add_argument(
        "--states",
        action="store_true",
        help="show the models as states of one training, in the given order, with a slider",
    )
    page.add_argument("--title", default="LeNet-5, live", help="heading of the page")
    add_output_options(page)
    page.set_defaults(run=_run_page)


def _run_page(arguments) -> int:
    check_out(arguments.out, arguments.models)
    models: dict = {}
    for path in arguments.models:
        if not path.is_file():
            raise ValueError(f"{path}: no such file. `sklenet fit` writes one.")
        if path.stem in models:
            raise ValueError(
                f"{path}: another model is called {path.stem!r}, too. Rename the file."
            )
        models[path.stem] = LeNet5Classifier.load(path)
    groups = {arguments.title: models} if arguments.states else models
    write_page(groups, arguments.out, title=arguments.title)
    size = arguments.out.stat().st_size
    noun = "model" if len(models) == 1 else "models"
    print_results(
        arguments,
        f"{arguments.out}: {len(models)} {noun}, {size / 1e6:.1f} MB",
        {"page": str(arguments.out), "models": list(models), "bytes": size},
    )
    return 0
