"""Configuration of Sphinx: `make docs` builds the site, with warnings as errors and without the network."""

import sys
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

import sklearn_ae
from sklearn_ae.datasets import fetch_mnist

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sklearn-ae"
author = copyright = "The sklearn-ae developers"
version = release = sklearn_ae.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "formulas",
    "names",
    "outputs",
    "records",
]
exclude_patterns = ["_build", "**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
copybutton_selector = "div:not(.output):not(.sphx-glr-script-out) > div.highlight > pre"  # no outputs
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
html_math_renderer = "formulas"

autosummary_generate = True
autodoc_typehints = "none"  # docstrings give the types
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the template lists them
nitpicky = True
nitpick_ignore_regex = [(r"py:\w+", r"(functools|sklearn|skorch|torch)\..*")]  # documented on other sites


def has_mnist() -> bool:
    try:
        fetch_mnist(download_if_missing=False)
    except FileNotFoundError:
        return False
    return True


sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/plot_" if has_mnist() else "/plot_(?!compare)",  # which needs MNIST, and would download it
    "ignore_pattern": r"demo\.py",
    "reference_url": {"sklearn_ae": None},
    "doc_module": ("sklearn_ae",),
    "reset_modules": ("matplotlib", "gallery.use_style"),
    "within_subsection_order": "gallery.Position",
    "minigallery_sort_order": "gallery.position",
    "thumbnail_size": (400, 250),
    "backreferences_dir": "api/backreferences",
    "inspect_global_variables": False,
    "capture_repr": (),  # text and figures only
    "show_memory": False,
    "write_computation_times": False,  # a page that loads scripts from other sites
    "show_signature": False,
    "parallel": 2,
}


def skip_inherited(app, what, name, obj, skip, options):
    """Skip the methods that scikit-learn adds to estimators for metadata routing and containers."""
    is_request = name == "get_metadata_routing" or (name.startswith("set_") and name.endswith("_request"))
    return skip or is_request or (name == "set_output" and obj.__module__.startswith("sklearn."))


def drop_citations(app, doctree):
    """Drop citations from summaries: the list of references is on another page."""
    if app.env.docname == "api/index":
        for reference in list(
            doctree.findall(lambda node: isinstance(node, nodes.Element) and node.get("refdomain") == "citation")
        ):
            paragraph, i = reference.parent, reference.parent.index(reference)
            paragraph[i - 1 : i + 1] = [nodes.Text(paragraph[i - 1].astext().rstrip())]


def group_sidebar(app, doctree):
    """Give the lists of names in the side bar of the reference the titles of their sections."""
    if app.env.docname == "api/index":
        for toctree in doctree.findall(addnodes.toctree):
            section = toctree
            while not isinstance(section, nodes.section):
                section = section.parent
            toctree["caption"] = toctree["rawcaption"] = section.next_node(nodes.title).astext()


def setup(app):
    app.connect("doctree-read", drop_citations)
    app.connect("doctree-read", group_sidebar, priority=400)  # before Sphinx collects the lists
    app.connect("autodoc-skip-member", skip_inherited)


html_theme = "pydata_sphinx_theme"
html_title = "sklearn-ae"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {page.stem: [] for page in Path(__file__).parent.glob("*.md")} | {"auto_examples/*": []}  # more width
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "sklearn-ae", "image_light": "_static/logo.svg", "image_dark": "_static/logo.svg"},
    "navbar_start": ["navbar-logo", "version"],
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "back_to_top_button": False,
}
