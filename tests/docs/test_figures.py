"""Figures in README and docs are those of the records: a comment before each block names the records that have them.

``<!-- records: quality_small, probe -->`` names files in benchmarks/results/. ``<!-- not measured: why -->`` stands
before a block whose figures were published elsewhere, or are no measurements.
"""

import re
from pathlib import Path

import pytest
from helpers import written

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "results"
PAGES = [ROOT / "README.md", *(page for page in written(ROOT / "docs", "md") if page.name != "changelog.md")]
NUMBER = re.compile(r"(?<![\w.])\d*\.\d+(?![\w.]*\d)")
COMMENT = re.compile(r"<!-- (records|not measured): (.+?) -->")


def blocks(text: str) -> list[tuple[str, str]]:
    """Return the paragraphs and tables outside of code, each with the comment before it, or an empty string."""
    text = re.sub(r"^(```|\$\$).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`\n]*`|\$[^$\n]*\$|\]\([^)]*\)", "", text)
    found, comment = [], ""
    for block in re.split(r"\n\s*\n", text):
        match = COMMENT.search(block)
        comment = match.group(0) if match else comment
        body = COMMENT.sub("", block).strip()
        if body:
            found.append((comment, body))
            comment = ""
    return found


def figures(text: str) -> list[str]:
    """Return the numbers with decimals, without sign and thousands separators."""
    return NUMBER.findall(text.replace(",", ""))


def is_rounded(figure: str, recorded: list[float]) -> bool:
    """Return whether a figure is one of the recorded, rounded to as many decimals."""
    half = 0.5 * 10.0 ** -len(figure.split(".")[1])
    return any(abs(float(figure) - value) <= half * 1.001 for value in recorded)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_figures_are_those_of_the_records(page):
    for comment, block in blocks(page.read_text(encoding="utf-8")):
        kind, what = COMMENT.search(comment).groups() if comment else ("", "")
        if kind == "records":
            paths = [RECORDS / f"{name.strip()}.md" for name in what.split(",")]
            recorded = [float(figure) for path in paths for figure in figures(path.read_text(encoding="utf-8"))]
            wrong = [figure for figure in figures(block) if not is_rounded(figure, recorded)]
            assert not wrong, f"{wrong} in {what} for: {block}"
        elif not kind:
            unsourced = [figure for figure in figures(block) if len(figure.split(".")[1]) > 1]
            assert not unsourced, f"{unsourced} need a comment that names their records: {block}"


def test_a_figure_that_no_record_has_is_found():
    assert is_rounded("0.90", [0.9012])
    assert is_rounded("0.9", [0.9012])
    assert not is_rounded("0.91", [0.9012])
    (first, second) = blocks("<!-- records: a -->\nR² is 0.90.\n\n```\n0.12\n```\n\nSee `lr=0.05`.")
    assert first == ("<!-- records: a -->", "R² is 0.90.")
    assert figures(second[1]) == []
