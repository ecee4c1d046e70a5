"""The layout holds: files import downwards only, keep to their doors and stay small."""

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sklearn_ae"
LAYERS = [
    ["_compat"],
    ["_axes", "outputs"],
    ["losses", "codes", "penalties", "corruptions"],
    ["networks"],
    ["modules"],
    ["initializers"],
    ["canonical"],
    ["_data"],
    ["_inference"],
    ["_training"],
    ["_persistence"],
    ["_configuration"],
    ["_autoencoder"],
    ["model_selection"],
    ["plotting"],
    ["onnx", "datasets"],
    ["__init__"],
]
LEVELS = {name: level for level, layer in enumerate(LAYERS) for name in layer}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
MAX_INDENTATION = 4

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything imported, relative imports made absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ["sklearn_ae"] if node.level else []
            module = [node.module] if node.module else []
            yield from (".".join([*package, *module, alias.name]) for alias in node.names)


def top(dotted_name: str) -> str:
    return dotted_name.split(".")[0]


def inner_module(dotted_name: str) -> str:
    """Return the file that an import from the package reads; names of no file are __init__'s."""
    parts = dotted_name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LEVELS else "__init__"


def upward_imports(name: str, source: str) -> list[str]:
    targets = {inner_module(dotted) for dotted in imported_names(ast.parse(source)) if top(dotted) == "sklearn_ae"}
    return sorted(target for target in targets if LEVELS[target] >= LEVELS[name])


def skorch_imports(name: str, source: str) -> list[str]:
    names = imported_names(ast.parse(source))
    return [dotted for dotted in names if top(dotted) == "skorch" and name != "_training"]


def private_sklearn_imports(name: str, source: str) -> list[str]:
    def is_private(dotted: str) -> bool:
        return any(part.startswith("_") and part[:2] != "__" for part in dotted.split("."))

    names = imported_names(ast.parse(source))
    return [dotted for dotted in names if top(dotted) == "sklearn" and is_private(dotted) and name != "_compat"]


def eager_matplotlib_imports(source: str) -> list[str]:
    """Return what of matplotlib is imported with the file: not in functions nor for types only."""

    def prune(node: ast.AST) -> Iterator[ast.AST]:
        for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if isinstance(node, FUNCTIONS) or for_types:
            return
        yield node
        for child in ast.iter_child_nodes(node):
            yield from prune(child)

    imports = [n for n in prune(ast.parse(source)) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = imported_names(ast.Module(body=imports, type_ignores=[]))
    return [dotted for dotted in names if top(dotted) in {"matplotlib", "mpl_toolkits"}]


def code_lines(source: str) -> set[int]:
    """Return the numbers of the lines that hold code: no blanks, comments or docstrings."""
    no_code = {
        tokenize.COMMENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
        tokenize.INDENT,
        tokenize.NEWLINE,
        tokenize.NL,
    }
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in no_code:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def long_functions(source: str) -> list[str]:
    """Return the functions with too many lines after the signature, which holds no logic."""
    lines = code_lines(source)
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, FUNCTIONS)
        and len(lines & set(range(node.body[0].lineno, node.end_lineno + 1))) > MAX_FUNCTION_LINES
    ]


def deep_lines(source: str) -> list[int]:
    """Return the numbers of the lines where a block too deep begins."""
    depth, lines = 0, []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        depth += (token.type == tokenize.INDENT) - (token.type == tokenize.DEDENT)
        if token.type == tokenize.INDENT and depth > MAX_INDENTATION:
            lines.append(token.start[0])
    return lines


def test_every_file_has_a_layer():
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    assert "__init__.py" in files
    assert files <= {f"{name}.py" for name in LEVELS}


@pytest.fixture(params=[name for name in LEVELS if (PACKAGE / f"{name}.py").exists()])
def name(request) -> str:
    return request.param


@pytest.fixture
def source(name) -> str:
    return (PACKAGE / f"{name}.py").read_text(encoding="utf-8")


def test_imports_go_downwards(name, source):
    assert upward_imports(name, source) == []


def test_only_training_imports_skorch(name, source):
    assert skorch_imports(name, source) == []


def test_only_compat_imports_private_sklearn_names(name, source):
    assert private_sklearn_imports(name, source) == []


def test_matplotlib_is_imported_where_it_plots(source):
    assert eager_matplotlib_imports(source) == []


def test_files_are_small(source):
    assert len(code_lines(source)) <= MAX_FILE_LINES


def test_functions_are_short(source):
    assert long_functions(source) == []


def test_blocks_are_shallow(source):
    assert deep_lines(source) == []


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("_data", "from sklearn_ae._compat import Interval", []),
        ("_data", "from sklearn_ae._training import Net", ["_training"]),
        ("_data", "from ._training import Net", ["_training"]),
        ("_data", "from . import canonical, _training", ["_training"]),
        ("_data", "import sklearn_ae._training as training", ["_training"]),
        ("_data", "def f():\n    from sklearn_ae import plotting", ["plotting"]),
        ("_data", "from sklearn_ae import AutoencoderTransformer", ["__init__"]),
        ("_data", "import sklearn_ae", ["__init__"]),
        ("_data", "from sklearn_ae._data import to_tensor", ["_data"]),
        ("codes", "from sklearn_ae.losses import Step", ["losses"]),
        ("__init__", "from ._autoencoder import AutoencoderTransformer", []),
    ],
)
def test_upward_imports_are_seen(name, source, expected):
    assert upward_imports(name, source) == expected


def test_skorch_imports_are_seen():
    source = "import skorch.callbacks\nfrom skorch import NeuralNet"
    assert skorch_imports("_data", source) == ["skorch.callbacks", "skorch.NeuralNet"]
    assert skorch_imports("_training", source) == []


@pytest.mark.parametrize(
    ("source", "private"),
    [
        ("from sklearn.base import BaseEstimator", False),
        ("from sklearn import __version__", False),
        ("from sklearn.base import _fit_context", True),
        ("from sklearn.utils._param_validation import Interval", True),
        ("import sklearn.utils._tags", True),
    ],
)
def test_private_sklearn_imports_are_seen(source, private):
    assert bool(private_sklearn_imports("_data", source)) is private
    assert private_sklearn_imports("_compat", source) == []


@pytest.mark.parametrize(
    ("source", "eager"),
    [
        ("import matplotlib.pyplot as plt", True),
        ("try:\n    from matplotlib import pyplot\nexcept ImportError:\n    pass", True),
        ("class Display:\n    import matplotlib", True),
        ("def plot():\n    import matplotlib.pyplot as plt", False),
        ("if TYPE_CHECKING:\n    from matplotlib.axes import Axes", False),
    ],
)
def test_eager_matplotlib_imports_are_seen(source, eager):
    assert bool(eager_matplotlib_imports(source)) is eager


def test_code_lines_leave_out_blanks_comments_and_docstrings():
    source = '"""Module.\n\nMore.\n"""\n\n# why\nx = """a\nb"""\n\n'
    source += 'def f(\n    a,\n):\n    """Do."""\n    return a\n'
    assert code_lines(source) == {7, 8, 10, 11, 12, 14}


@pytest.mark.parametrize("n_lines", [MAX_FUNCTION_LINES, MAX_FUNCTION_LINES + 1])
def test_long_functions_are_seen(n_lines):
    signature = "class A:\n    def f(\n        self,\n        a=1,\n    ):\n"
    body = '        """Do."""\n\n        # why\n' + "        a += 1\n" * n_lines
    assert long_functions(signature + body) == ["f"] * (n_lines > MAX_FUNCTION_LINES)


@pytest.mark.parametrize("depth", [MAX_INDENTATION, MAX_INDENTATION + 1])
def test_deep_blocks_are_seen(depth):
    source = "".join("    " * level + "if x:\n" for level in range(depth)) + "    " * depth + "y\n"
    assert deep_lines(source) == [depth + 1] * (depth > MAX_INDENTATION)
