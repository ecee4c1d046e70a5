"""The pages of the site run: their Python blocks, in order, in an empty folder."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import BLOCKS, python_blocks, run_blocks, written

DOCS = Path(__file__).parents[2] / "docs"
ALL = written(DOCS, "md")
#: The page extending has its own test file.
PAGES = [page for page in ALL if python_blocks(page) and page.stem != "extending"]


def name(page):
    return page.relative_to(DOCS).with_suffix("").as_posix()


@pytest.mark.parametrize("page", ALL, ids=name)
def test_no_block_has_another_name_than_python_and_is_skipped(page):
    fences = re.findall(r"^ *(?:`{3,}|~{3,})(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert {fence.strip() for fence in fences if not re.match(r"\s*\{", fence)} <= {
        "",
        "python",
        "bash",
        "console",
        "text",
    }
    assert fences.count("python") == len(python_blocks(page))


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_page_runs(page):
    if page.stem == "callbacks":
        pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
    run_blocks(page)


def test_blocks_share_a_namespace_and_errors_have_the_lines_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("A line.\n\n```python\nx = 1\n```\n\n```console\nno python\n```\n\n```python\nx += 1\n```\n")
    assert run_blocks(page)["x"] == 2
    page.write_text("A line.\n\n```python\nraise KeyError('here')\n```\n")
    with pytest.raises(KeyError) as error:
        run_blocks(page)
    assert error.traceback[-1].lineno == 3  # counted from 0


def recorded(page, tmp_path):
    """Record a page as the site's build does, in a process of its own, and return the process and the folder."""
    folder, empty = tmp_path / "outputs", tmp_path / "empty"
    folder.mkdir()
    empty.mkdir()
    command = [sys.executable, BLOCKS["__file__"], page, folder]
    return subprocess.run(command, cwd=empty, capture_output=True, encoding="utf-8", timeout=60), folder


def test_what_blocks_print_and_draw_is_recorded(tmp_path):
    page = tmp_path / "page.md"
    blocks = [
        "print('é', __name__)",
        "x = 1",
        "import matplotlib.pyplot as plt\n_ = plt.figure(), plt.figure()\nprint(x)",
    ]
    page.write_text("\n\nText.\n\n".join(f"```python\n{block}\n```" for block in blocks), encoding="utf-8")
    done, folder = recorded(page, tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    first, second, third = json.loads((folder / "outputs.json").read_text(encoding="utf-8"))
    assert first == {"text": "é __main__\n", "figures": []}
    assert second == {"text": "", "figures": []}
    assert third["text"] == "1\n"
    assert [figure["name"] for figure in third["figures"]] == ["0.png", "1.png"]
    assert all((folder / figure["name"]).stat().st_size > 0 for figure in third["figures"])


@pytest.mark.parametrize(
    ("block", "error"),
    [
        ("x = 1\n1 / 0", "5: ZeroDivisionError: division by zero"),
        ("x = 1\nx = = 1", "5: SyntaxError"),
        ("import warnings\nwarnings.warn('odd')", "5: UserWarning: odd"),
    ],
)
def test_a_block_that_fails_is_reported_with_page_and_line(block, error, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"A line.\n\n```python\n{block}\n```\n")
    done, folder = recorded(page, tmp_path)
    assert done.returncode == 1
    assert not (folder / "outputs.json").exists()
    reported = (folder / "error.txt").read_text(encoding="utf-8")
    assert reported.startswith(f"{page}:{error}")
