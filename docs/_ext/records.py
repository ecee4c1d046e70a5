"""The page of benchmarks: what the scripts in benchmarks/ have recorded in benchmarks/results/, with their names."""

import ast
import re
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PAGE = "records"


def script(record: Path) -> tuple[Path, str]:
    """Return the script that printed a record, and its command."""
    if (BENCHMARKS / record.stem / "__main__.py").exists():
        return BENCHMARKS / record.stem / "__main__.py", f"python -m benchmarks.{record.stem}"
    names = [record.stem, f"bench_{record.stem}", f"bench_{record.stem.split('_')[0]}"]
    name = next(name for name in names if (BENCHMARKS / f"{name}.py").exists())
    table = "" if record.stem in name else " " + record.stem.split("_", 1)[1]
    return BENCHMARKS / f"{name}.py", f"python -m benchmarks.{name}{table}"


def purpose(path: Path) -> str:
    """Return the first line of a script's docstring, without the command that some of them name there."""
    line = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[0]
    return re.split(r":? `?(?:python -m|make) ", line)[0].rstrip(".") + "."


def section(record: Path) -> str:
    path, command = script(record)
    text = re.sub("^# ", "", record.read_text(encoding="utf-8")).replace("\n## ", "\n### ")
    return f"## {record.stem.replace('_', ' ')}\n\n{purpose(path)} By `{command}`:\n\n{text}\n"


def append_records(app, docname, source):
    if docname == PAGE:
        source[0] += "\n" + "\n".join(map(section, sorted((BENCHMARKS / "results").glob("*.md"))))


def setup(app):
    app.connect("source-read", append_records)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
