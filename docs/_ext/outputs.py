"""Show below the Python blocks of a page what they print and draw: `make docs` runs them, `make docs-fast` does not.

Each page runs in its own process, two at a time. Results are kept in build/pages/ and used again until the page's code,
the package, the versions in constraints.txt or the way they are recorded changes.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from blocks import python_blocks
from docutils import nodes
from gallery import STYLE
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

import sklearn_ae

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = ROOT / "build" / "pages"
PACKAGE = Path(sklearn_ae.__file__).parent
N_PROCESSES = 2

logger = logging.getLogger(__name__)


@cache
def shared_sources() -> bytes:
    """Return what decides, apart from a page's own code, what the blocks of every page show."""
    files = [*sorted(PACKAGE.rglob("*.py")), ROOT / "constraints.txt", HERE / "blocks.py", STYLE]
    return b"\0".join(path.read_bytes() for path in files)


def digest(page: Path) -> str:
    """Return a hash of all that decides what the blocks of a page show."""
    code = json.dumps([block.source for block in python_blocks(page)])
    return hashlib.sha256(b"\0".join([code.encode(), shared_sources()])).hexdigest()[:16]


def folder_of(page: Path, srcdir: Path) -> Path:
    return CACHE / page.relative_to(srcdir).with_suffix("") / digest(page)


def run(page: Path, folder: Path) -> str | None:
    """Run the blocks of a page, unless the folder has their outputs, and return the error if there is one."""
    if folder.exists():
        return None
    logger.info("running the blocks of %s", page.name)
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = os.environ | threads | {"PYTHONPATH": path, "MPLBACKEND": "Agg", "MATPLOTLIBRC": str(STYLE)}
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.parent.mkdir(parents=True)
    with TemporaryDirectory() as scratch, TemporaryDirectory(dir=folder.parent) as unfinished:
        command = [sys.executable, HERE / "blocks.py", page.resolve(), unfinished]
        done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, encoding="utf-8")
        if done.returncode:
            error = Path(unfinished, "error.txt")
            return error.read_text(encoding="utf-8") if error.exists() else f"{page}: {done.stderr}"
        shutil.copytree(unfinished, folder)
    return None


def shows_outputs(page: Path, config) -> bool:
    """Return whether a page shows the outputs of its blocks: if it has any, and the gallery is run too."""
    return str(config.plot_gallery) not in ("0", "False") and page.suffix == ".md" and bool(python_blocks(page))


def run_pages(app, env, docnames):
    """Run the blocks of the pages that are about to be read."""
    pages = [page for name in docnames if shows_outputs(page := Path(env.doc2path(name)), app.config)]
    folders = {page: folder_of(page, Path(app.srcdir)) for page in pages}
    with ThreadPoolExecutor(N_PROCESSES) as pool:
        errors = list(filter(None, pool.map(run, folders, folders.values())))
    if errors:
        raise ExtensionError("Blocks of pages fail:\n" + "\n".join(errors))


class ShowOutputs(SphinxTransform):
    """Insert text and figures below the blocks that printed and drew them."""

    default_priority = 500

    def apply(self, **kwargs):
        page = Path(self.env.doc2path(self.env.docname))
        if not shows_outputs(page, self.config):
            return
        folder = folder_of(page, Path(self.env.srcdir))
        outputs = json.loads((folder / "outputs.json").read_text(encoding="utf-8"))
        literals = [node for node in self.document.findall(nodes.literal_block) if node.get("language") == "python"]
        for literal, output in zip(literals, outputs, strict=True):
            literal.parent.insert(literal.parent.index(literal) + 1, list(shown(output, folder, page)))


def shown(output, folder, page):
    if output["text"].strip():
        text = output["text"].rstrip()
        yield nodes.literal_block(text, text, language="text", classes=["output"])
    for figure in output["figures"]:
        path = Path(os.path.relpath(folder / figure["name"], page.parent)).as_posix()
        yield nodes.image(
            uri=path, alt="The figure that this code draws", width=f"{figure['width']}px", classes=["drawn"]
        )


def setup(app):
    app.connect("env-before-read-docs", run_pages)
    app.add_transform(ShowOutputs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
