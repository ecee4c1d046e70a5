"""The gallery: the order of its examples and the style of its figures. sphinx_gallery_conf refers to both by name."""

from pathlib import Path

STYLE = Path(__file__).parent / "site.mplstyle"
#: From the first question to special kinds of data. Other examples follow in the order of their names.
ORDER = [
    "plot_two_components.py",
    "plot_compare_decompositions.py",
    "plot_choose_size.py",
    "plot_pipeline_classifier.py",
    "plot_traversal.py",
    "plot_mnist_features.py",
    "plot_spectra.py",
    "plot_colour_patches.py",
    "plot_counts.py",
    "plot_frame_with_gaps.py",
    "plot_mixed_frame.py",
    "plot_outliers.py",
    "plot_anomalies.py",
]


def position(path) -> tuple[int, str]:
    """Return the sort key of an example."""
    name = Path(path).name
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name


class Position:
    """The sort key of the examples in a folder, as Sphinx-Gallery expects it: a class."""

    def __init__(self, src_dir):
        pass

    def __call__(self, name):
        return position(name)


def use_style(gallery_conf, script):
    """Set the style of the figures that an example draws."""
    import matplotlib as mpl

    mpl.rc_file(STYLE)
