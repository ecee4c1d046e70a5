"""The pages of the site run: their Python blocks, in order, in an empty folder."""

from pathlib import Path

import pytest
from helpers import run_blocks

DOCS = Path(__file__).parents[2] / "docs"
#: These have no Python blocks or, like extending, their own test file.
OTHERS = {"benchmarks", "changelog", "extending", "literature", "guide/index", "comparisons/index"}
PAGES = sorted(
    page
    for page in [*DOCS.glob("*.md"), *DOCS.glob("guide/*.md"), *DOCS.glob("comparisons/*.md")]
    if page.relative_to(DOCS).with_suffix("").as_posix() not in OTHERS
)


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs(page):
    if page.stem == "callbacks":
        pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
    assert len(run_blocks(page)) > 2  # more than __name__ and __builtins__: the page has blocks


def test_blocks_share_a_namespace_and_errors_have_the_lines_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("A line.\n\n```python\nx = 1\n```\n\n```console\nno python\n```\n\n```python\nx += 1\n```\n")
    assert run_blocks(page)["x"] == 2
    page.write_text("A line.\n\n```python\nraise KeyError('here')\n```\n")
    with pytest.raises(KeyError) as error:
        run_blocks(page)
    assert error.traceback[-1].lineno == 3  # counted from 0
