"""Configuration of Sphinx. `make docs` builds the documentation; warnings are errors."""

import os
from pathlib import Path

import jupytext
import matplotlib

matplotlib.use("agg")
os.environ.pop("MPLBACKEND", None)  # notebooks have their own back end

import sklenet
from sklenet import load_pretrained
from sklenet.page import write_page

DOCS = Path(__file__).parent

project = "sklenet"
author = "the sklenet developers"
copyright = "the sklenet developers, BSD-3-Clause"
release = version = sklenet.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples", "**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]

autosummary_generate = True
autodoc_typehints = "none"  # they are in the numpydoc sections
numpydoc_show_class_members = False
# Parameters and return values are documented completely, in order and with their types.
numpydoc_validation_checks = {
    "GL05",
    "GL06",
    "GL07",
    "PR01",
    "PR02",
    "PR03",
    "PR05",
    "PR10",
    "RT01",
    "SS02",
    "SS03",
    "SS04",
    "YD01",
}
# Inherited from scikit-learn, which documents them.
numpydoc_validation_exclude = {
    r"\.set_\w+_request$",
    r"\.get_feature_names_out$",
    r"\.(score|set_callbacks|set_output|set_params|get_params|get_metadata_routing)$",
}
myst_heading_anchors = 3

# Lessons are notebooks in MyST Markdown, which are executed when the pages are built.
nb_execution_mode = "auto"
nb_execution_timeout = 120  # seconds per cell
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_output_stderr = "remove"  # messages about the compilation of the kernels

html_theme = "pydata_sphinx_theme"
html_title = "sklenet"
html_logo = html_favicon = "logo.svg"
html_static_path = ["_static"]
html_css_files = ["sklenet.css"]
html_theme_options = {
    "logo": {"text": "sklenet", "alt_text": "sklenet"},
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "tutorial": []}
html_show_sourcelink = False
html_copy_source = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "abort_on_example_error": True,
    "min_reported_time": 1,
    "matplotlib_animations": False,
    "remove_config_comments": True,
    "show_memory": False,
    "image_scrapers": ("matplotlib",),
    "capture_repr": ("_repr_html_",),  # DataFrames, not addresses of displays
    # The examples of a class or a function, which its page in the reference links to.
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklenet",),
    "inspect_global_variables": False,
}


def add_download_link(app, docname, source):
    """Add a link to the notebook below the title of a lesson."""
    folder, _, name = docname.rpartition("/")
    if folder == "lessons" and name != "index":
        title, _, text = source[0].partition("\n# ")[2].partition("\n")
        head = source[0].partition("\n# ")[0]
        link = (
            f'<p><a href="{name}.ipynb" download>Download this lesson as a notebook</a></p>'
        )
        source[0] = f"{head}\n# {title}\n\n{link}\n{text}"


def write_other_files(app, exception):
    """Write the page to draw on, and the lessons as notebooks."""
    if exception is not None or app.builder.name != "html":
        return
    outdir = Path(app.outdir)
    names = {"Today": "mnist", "1998": "lecun1998"}
    models = {title: load_pretrained(name) for title, name in names.items()}
    write_page(models, outdir / "live.html")
    for path in sorted((DOCS / "lessons").glob("*.md")):
        if path.stem != "index":
            notebook = outdir / "lessons" / f"{path.stem}.ipynb"
            jupytext.write(jupytext.read(path), notebook)


def setup(app):
    """Connect the functions above with the steps of a build."""
    app.connect("source-read", add_download_link)
    app.connect("build-finished", write_other_files)
