"""Configuration of Sphinx. `make docs` builds the documentation; warnings are errors."""

import os
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "agg")

import sklenet

DOCS = Path(__file__).parent

project = "sklenet"
author = "the sklenet developers"
copyright = "the sklenet developers, BSD-3-Clause"
release = version = sklenet.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
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
