"""The layout holds: every file has its place, imports go down, and files, functions and classes stay small.

``python tests/docs/test_layers.py [FOLDER]`` (``make lines``) prints the parts of a package, their floors and lines.
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "sklearn_ae"
#: The parts, floor by floor from the bottom up, each with the floors of its files. A file imports from parts on lower
#: floors, and within its part from files on lower floors.
HOUSE: list[dict[str, list[str]]] = [
    {
        "_version": [],
        "base": [],
        "datasets": [],
        "networks": [],
        "_utils": ["autograd compat onnx_graph threads"],
        "_checkpoints": ["format", "files", "checkpoint"],
        "_metrics": ["reconstruction", "components"],
    },
    {
        "outliers": [],
        "outputs": [],
        "plotting": [
            "_base _checks",
            "_features _mosaic",
            "_lines",
            "_code_scatter _comparison _components _loss_curve _reconstruction _scree _size_curve _traversal",
        ],
    },
    {
        "codes": [],
        "corruptions": [],
        "losses": [],
        "penalties": [],
        "_data": [
            "arrays columns frames",
            "numeric",
            "dask_blocks scaling tables",
            "out_of_core",
            "training_rows",
            "split",
        ],
        "model_selection": ["_table", "_comparison", "_size_rule"],
    },
    {
        "preprocessing": [],
        "_model": [
            "code_maps principal_axes weights",
            "module",
            "initializers statistics",
            "canonical fitted_model",
        ],
    },
    {"_training": ["callbacks optimizers processes resume sklearn_callbacks", "net"]},
    {
        "_estimator": [
            "dask size_selection spelling validation",
            "configuration fitted_state",
            "persistence",
            "fitted fitting",
        ]
    },
    {"_autoencoder": []},
    {"onnx": [], "__init__": []},
    {"__main__": []},
]
#: Parts that import from few others, whatever floor those are on.
SELF_CONTAINED = {
    "_data": {"_data", "_utils", "base"},
    "_metrics": {"_metrics"},
    "plotting": {"_metrics", "plotting"},
    "model_selection": {"_metrics", "plotting", "model_selection"},
    "outliers": {"_metrics", "_utils"},
}
WITHOUT_TORCH = {"_metrics", "outliers", "plotting", "model_selection"}
#: What other files may import from a file of building blocks: the base class, the registry, functions; no block itself.
BUILDING_BLOCKS = {
    "codes": {"Code", "CODES", "ALIASES", "code_of"},
    "losses": {"Loss", "LOSSES", "loss_by_kind"},
    "penalties": {"Penalty", "PENALTIES", "penalties_of"},
    "corruptions": {"Corruption", "CORRUPTIONS", "corruption_of"},
}
REGISTRIES = {"CODES", "LOSSES", "PENALTIES", "CORRUPTIONS"}

MAX_CODE_LINES, MAX_LINES, MAX_FUNCTION_LINES, MAX_DEPTH, MAX_METHODS = 400, 500, 40, 4, 15
#: Classes with more methods: what a fitted autoencoder can do, and a subclass of skorch's net.
FAT_CLASSES = {"FittedAutoencoder": 21, "AutoencoderNet": 25}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class File:
    name: str  # "_data.arrays"; "_data.__init__" for the file of the package itself
    source: str

    def __post_init__(self):
        self.tree = ast.parse(self.source)
        self.part = self.name.split(".")[0]
        self.imports = list(imported_names(self.tree))

    def imports_of(self, package: str) -> list[str]:
        return [dotted for dotted in self.imports if dotted.split(".")[0] == package]


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything imported; ruff bans relative imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files_of(package: Path) -> dict[str, File]:
    names = {".".join(path.relative_to(package).with_suffix("").parts): path for path in package.rglob("*.py")}
    return {name: File(name, path.read_text(encoding="utf-8")) for name, path in sorted(names.items())}


def resolve(dotted: str, names: set[str]) -> str:
    """Return the file of the package that an import reads: the longest name of a file or folder in it."""
    parts = dotted.split(".")[1:]
    candidates = [".".join([*parts[:n], *end]) for n in range(len(parts), -1, -1) for end in ([], ["__init__"])]
    return next(name for name in candidates if name in names)


FILES = files_of(PACKAGE)


def places() -> dict[str, tuple[int, int]]:
    """Return the floor of each file's part and the file's floor in it; the face of a folder is at the top of it."""
    found = {}
    for floor, parts in enumerate(HOUSE):
        for part, inner in parts.items():
            names = [(f"{part}.{name}", level) for level, row in enumerate(inner) for name in row.split()]
            names += [(f"{part}.__init__", len(inner))] if inner else [(part, 0)]
            found |= {name: (floor, level) for name, level in names}
    return found


PLACES = places()


def upward_imports(file: File) -> list[str]:
    found = set()
    for target in {resolve(dotted, PLACES.keys()) for dotted in file.imports_of("sklearn_ae")}:
        part = target.split(".")[0]
        goes_down = (
            PLACES[target] < PLACES[file.name] if part == file.part else PLACES[target][0] < PLACES[file.name][0]
        )
        if not goes_down or part not in SELF_CONTAINED.get(file.part, {part}):
            found.add(target)
    return sorted(found)


def misplaced_libraries(file: File) -> list[str]:
    """Return imports of skorch outside the training, of torch in parts without it, of private names of scikit-learn."""
    found = [] if file.part == "_training" else file.imports_of("skorch")
    found += file.imports_of("torch") if file.part in WITHOUT_TORCH else []
    private = [n for n in file.imports_of("sklearn") if any(p[0] == "_" and p[:2] != "__" for p in n.split("."))]
    return found + (private if file.name != "_utils.compat" else [])


def block_names(name: str) -> set[str]:
    """Return the classes of the building blocks that a file defines, and their short names."""
    tree = FILES[name].tree
    (registry,) = (n.value for n in tree.body if isinstance(n, ast.AnnAssign) and n.target.id in REGISTRIES)
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)} - BUILDING_BLOCKS[name]
    return classes | {key.value for key in registry.keys}


def uses_of_blocks(file: File) -> list[str]:
    """Return the building blocks of other files that a file imports, compares with or takes from a registry."""
    others = BUILDING_BLOCKS.keys() - {file.name}
    found = []
    for dotted in file.imports_of("sklearn_ae"):
        target = resolve(dotted, PLACES.keys())
        if target in others and dotted.split(".")[-1] not in BUILDING_BLOCKS[target]:
            found.append(dotted)
    names = set().union(*map(block_names, others))
    for node in ast.walk(file.tree):
        is_lookup = isinstance(node, ast.Subscript) and getattr(node.value, "id", None) in REGISTRIES
        if is_lookup or isinstance(node, ast.Compare | ast.MatchValue):
            found += [c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and c.value in names]
    return found


def docstring_lines(tree: ast.AST) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) and ast.get_docstring(node):
            lines |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def code_lines(file: File) -> set[int]:
    """Return the numbers of the lines that hold code: no blank lines, comments or docstrings."""
    no_code = {tokenize.COMMENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.INDENT, tokenize.NEWLINE, tokenize.NL}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(file.source).readline):
        if token.type not in no_code:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - docstring_lines(file.tree)


def long_functions(file: File) -> list[str]:
    """Return the functions with too many lines of code after the signature, which holds no logic."""
    lines = code_lines(file)
    functions = [node for node in ast.walk(file.tree) if isinstance(node, FUNCTIONS)]
    bodies = [(node.name, set(range(node.body[0].lineno, node.end_lineno + 1))) for node in functions]
    return [name for name, body in bodies if len(lines & body) > MAX_FUNCTION_LINES]


def deep_lines(file: File) -> list[int]:
    """Return the numbers of the lines where a block begins that is nested too deeply."""
    depth, lines = 0, []
    for token in tokenize.generate_tokens(io.StringIO(file.source).readline):
        depth += (token.type == tokenize.INDENT) - (token.type == tokenize.DEDENT)
        if token.type == tokenize.INDENT and depth > MAX_DEPTH:
            lines.append(token.start[0])
    return lines


def methods(file: File) -> dict[str, int]:
    """Return the number of methods and properties of each class."""
    classes = [node for node in ast.walk(file.tree) if isinstance(node, ast.ClassDef)]
    return {node.name: len({n.name for n in node.body if isinstance(n, FUNCTIONS)}) for node in classes}


def fat_classes(file: File) -> list[str]:
    return [name for name, n in methods(file).items() if n > FAT_CLASSES.get(name, MAX_METHODS)]


def excess_lines(file: File) -> list[int]:
    n_code, n_lines = len(code_lines(file)), file.source.count("\n")
    return [n_code] * (n_code > MAX_CODE_LINES) + [n_lines] * (n_lines > MAX_LINES)


def test_every_file_has_a_place():
    assert FILES.keys() == PLACES.keys()


RULES = [upward_imports, misplaced_libraries, uses_of_blocks, excess_lines, long_functions, deep_lines, fat_classes]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_file_breaks_a_rule(rule):
    broken = {name: rule(file) for name, file in FILES.items()}
    assert {name: found for name, found in broken.items() if found} == {}


LONG = 'def f(\n    a,\n):\n    """Do."""\n\n    # Why.\n'


@pytest.mark.parametrize(
    ("name", "source", "rule", "expected"),
    [
        ("_data.split", "from sklearn_ae._data.arrays import fill_missing", upward_imports, []),
        ("_data.arrays", "from sklearn_ae._data.split import Split", upward_imports, ["_data.split"]),
        ("_data.arrays", "from sklearn_ae._model import canonical", upward_imports, ["_model.canonical"]),
        ("_data.arrays", "def f():\n    import sklearn_ae.plotting", upward_imports, ["plotting.__init__"]),
        ("_data.arrays", "from sklearn_ae.networks import Linear", upward_imports, ["networks"]),
        ("codes", "import sklearn_ae", upward_imports, ["__init__"]),
        ("codes", "from sklearn_ae.losses import Loss", upward_imports, ["losses"]),
        ("_training.net", "from skorch import NeuralNet", misplaced_libraries, []),
        ("_model.module", "import skorch.callbacks", misplaced_libraries, ["skorch.callbacks"]),
        ("plotting._base", "def f():\n    import torch", misplaced_libraries, ["torch"]),
        ("_utils.compat", "from sklearn.utils._tags import Tags", misplaced_libraries, []),
        ("_data.arrays", "from sklearn import __version__", misplaced_libraries, []),
        ("_data.arrays", "import sklearn.utils._tags", misplaced_libraries, ["sklearn.utils._tags"]),
        ("_model.module", "from sklearn_ae.codes import CODES, Code", uses_of_blocks, []),
        (
            "_model.module",
            "from sklearn_ae.codes import Gaussian as Code",
            uses_of_blocks,
            ["sklearn_ae.codes.Gaussian"],
        ),
        ("_model.module", "from sklearn_ae import codes", uses_of_blocks, ["sklearn_ae.codes"]),
        ("_model.module", "isinstance(code, CODES['gaussian'])", uses_of_blocks, ["gaussian"]),
        ("_model.module", "type(loss).__name__ == 'Mixed'", uses_of_blocks, ["Mixed"]),
        ("_model.module", "x = code in {'gaussian', 'other'}", uses_of_blocks, ["gaussian"]),
        ("_model.module", "match code:\n    case 'relu':\n        pass", uses_of_blocks, ["relu"]),
        ("_model.module", "code = 'gaussian'\nx == 3", uses_of_blocks, []),
        ("codes", "code == 'gaussian'", uses_of_blocks, []),
        ("codes", "loss == 'huber'", uses_of_blocks, ["huber"]),
        ("codes", "x = 1\n" * MAX_CODE_LINES, excess_lines, []),
        ("codes", "x = 1\n" * MAX_CODE_LINES + "x = 1\n", excess_lines, [MAX_CODE_LINES + 1]),
        ("codes", "\n" * MAX_LINES + "# Why.\n", excess_lines, [MAX_LINES + 1]),
        ("codes", LONG + "    a\n" * MAX_FUNCTION_LINES, long_functions, []),
        ("codes", LONG + "    a\n" * (MAX_FUNCTION_LINES + 1), long_functions, ["f"]),
        ("codes", "".join("    " * i + "if x:\n" for i in range(4)) + " " * 16 + "x", deep_lines, []),
        ("codes", "".join("    " * i + "if x:\n" for i in range(5)) + " " * 20 + "x", deep_lines, [6]),
        ("codes", "class A:\n" + "".join(f"    def f{i}(): ...\n" for i in range(15)), fat_classes, []),
        ("codes", "class A:\n" + "".join(f"    def f{i}(): ...\n" for i in range(16)), fat_classes, ["A"]),
    ],
)
def test_a_broken_rule_is_found(name, source, rule, expected):
    assert rule(File(name, source)) == expected


def test_code_lines_leave_out_blank_lines_comments_and_docstrings():
    source = '"""Module.\n\nMore.\n"""\n\n# why\nx = """a\nb"""\n\n'
    source += 'def f(\n    a,\n):\n    """Do."""\n    return a\n'
    assert code_lines(File("codes", source)) == {7, 8, 10, 11, 12, 14}


def floors(imports: dict[str, set[str]]) -> int:
    """Return the number of floors of files that import each other; a circle raises an error."""
    floor: dict[str, int] = {}
    for name in TopologicalSorter(imports).static_order():
        floor[name] = 1 + max((floor[other] for other in imports[name]), default=0)
    return max(floor.values())


def print_table(package: Path) -> None:
    """Print the folders of a package and the files at its top, with floors and lines, and the largest classes."""
    files = files_of(package)
    imports = {n: {resolve(d, files.keys()) for d in file.imports_of(package.name)} - {n} for n, file in files.items()}
    folder = {name: name.rpartition(".")[0] or "(top)" for name in files}
    print(f"{'part':<17}{'floors':>8}{'files':>7}{'code':>8}{'docstrings':>12}{'longest file':>14}")
    for part in [*sorted(set(folder.values())), "all"]:
        names = {name for name in files if part in ("all", folder[name])}
        n_floors = floors({name: imports[name] & names for name in names})
        n_code, n_docs = (sum(len(f(files[n])) for n in names) for f in (code_lines, lambda x: docstring_lines(x.tree)))
        longest = max(files[name].source.count("\n") for name in names)
        print(f"{part:<17}{n_floors:>8}{len(names):>7}{n_code:>8,}{n_docs:>12,}{longest:>14}")
    counts = sorted(((n, name) for file in files.values() for name, n in methods(file).items()), reverse=True)
    print("most methods:", ", ".join(f"{name} {n}" for n, name in counts[:5]))


if __name__ == "__main__":
    print_table(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
