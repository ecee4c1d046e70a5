"""Formulas as pictures in the page: drawn by matplotlib when the site is built, so that no script or font is loaded."""

from functools import lru_cache
from html import escape

import matplotlib as mpl
from docutils import nodes
from matplotlib.path import Path
from matplotlib.textpath import TextPath

SIZE = 1000  # units an em
LETTERS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}


@lru_cache
def drawn(tex: str) -> str:
    """Return a formula as an SVG element in the colour of the text around it, standing on its base line."""
    with mpl.rc_context({"mathtext.fontset": "stix"}):
        path = TextPath((0, 0), f"${' '.join(tex.split())}$", size=SIZE)
    box = path.get_extents()
    lines = []
    for points, code in path.iter_segments(curves=True, simplify=False):
        numbers = [] if code == Path.CLOSEPOLY else [round(x if i % 2 == 0 else -x) for i, x in enumerate(points)]
        lines.append(LETTERS[code] + " ".join(map(str, numbers)))
    view = f"{box.x0:.0f} {-box.y1:.0f} {box.width:.0f} {box.height:.0f}"
    place = f"height: {box.height / SIZE:.3f}em; vertical-align: {box.y0 / SIZE:.3f}em"
    attributes = f'class="formula" role="img" aria-label="{escape(tex)}" viewBox="{view}" style="{place}"'
    return f'<svg {attributes}><path d="{"".join(lines)}"/></svg>'


def inline(self, node):
    self.body.append(drawn(node.astext()))
    raise nodes.SkipNode


def block(self, node):
    self.body.append(f'<div class="formulas">{drawn(node.astext())}</div>\n')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("formulas", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
