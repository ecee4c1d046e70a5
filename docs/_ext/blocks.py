"""Run the Python blocks of a page in order: for the tests, and as a script that records what each block shows.

``python docs/_ext/blocks.py PAGE FOLDER`` writes FOLDER/outputs.json, with the text that each block printed and the
figures that it drew, or FOLDER/error.txt. It uses no part of Sphinx.

The rules: blocks start with three backticks and "python" at the beginning of a line and share one namespace; they run
in the working directory, which callers leave empty; warnings are errors, except those that the tests ignore too.
"""

import json
import os
import re
import sys
import tomllib
import traceback
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from pydoc import locate
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DPI = 192
SHOWN_DPI = 96  # half of it, for screens with twice the pixels


class Block(NamedTuple):
    """Source code and the number of lines of the page above it."""

    source: str
    lines_above: int


def python_blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [Block(block[1], text[: block.start(1)].count("\n")) for block in found]


def run_blocks(page: Path, module: ModuleType | None = None, after: Callable[[], object] = lambda: None) -> dict:
    """Run the blocks of a page in order, each followed by a call of after, and return their namespace.

    Lines in a traceback are those of the page.
    """
    namespace = {"__name__": "__main__"} if module is None else vars(module)
    for block in python_blocks(page):
        exec(compile("\n" * block.lines_above + block.source, str(page), "exec"), namespace)
        after()
    return namespace


def filter_warnings() -> None:
    """Treat warnings as the tests do."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for line in settings["tool"]["pytest"]["filterwarnings"]:
        action, message, category = [*line.split(":"), "", ""][:3]
        warnings.filterwarnings(action, message, locate(category) if category else Warning)


def save_figures(folder: Path, n_saved: int) -> list[dict]:
    """Save the open figures of pyplot, close them, and return their names and widths on the page."""
    if "matplotlib.pyplot" not in sys.modules:
        return []
    from matplotlib import pyplot as plt

    figures = []
    for i, number in enumerate(plt.get_fignums(), n_saved):
        name = f"{i}.png"
        plt.figure(number).savefig(folder / name, dpi=DPI, bbox_inches="tight")
        pixels = plt.imread(folder / name).shape[1]
        figures.append({"name": name, "width": round(pixels * SHOWN_DPI / DPI)})
    plt.close("all")
    return figures


def record(page: Path, folder: Path) -> None:
    """Run a page and write what its blocks show into a folder."""
    filter_warnings()
    module = sys.modules["__main__"] = ModuleType("__main__")  # so that classes of the page can be pickled
    outputs, printed = [], StringIO()

    def collect():
        figures = save_figures(folder, sum(len(output["figures"]) for output in outputs))
        outputs.append({"text": printed.getvalue(), "figures": figures})
        printed.seek(0)
        printed.truncate()

    with redirect_stdout(printed):
        run_blocks(page, module, collect)
    (folder / "outputs.json").write_text(json.dumps(outputs), encoding="utf-8")


def place_of(error: Exception, page: Path) -> str:
    """Return the page and the last of its lines in the traceback of an error."""
    if isinstance(error, SyntaxError):
        return f"{page}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(page)]
    return f"{page}:{lines[-1]}" if lines else str(page)


if __name__ == "__main__":
    page, folder = map(Path, sys.argv[1:])
    try:
        record(page, folder)
    except Exception as error:
        text = f"{place_of(error, page)}: {type(error).__name__}: {error}"
        (folder / "error.txt").write_text(text, encoding="utf-8")
        sys.stdout.flush()
        os._exit(1)  # processes and threads that the page left running must not hold this one up
