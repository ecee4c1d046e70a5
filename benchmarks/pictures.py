"""Pictures of the documentation, in the style of its site: readable on light and on dark pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

DOCS = Path(__file__).parents[1] / "docs"


@contextmanager
def picture(name: str, *shape: int, **kwargs: Any) -> Iterator[tuple[Any, Any]]:
    """Yield a figure and its axes, as ``plt.subplots`` returns them, and save the figure to docs/."""
    with plt.style.context(DOCS / "_ext" / "site.mplstyle"):
        figure, axes = plt.subplots(*shape, layout="constrained", **kwargs)
        yield figure, axes
        figure.savefig(DOCS / name, dpi=110)
        plt.close(figure)
