"""The layout holds: files import downwards only, keep to their doors and stay small."""

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "sklearn_ae"
LAYERS = [
    [
        "_utils.__init__",
        "_utils.compat",
        "_utils.onnx_graph",
        "_utils.threads",
        "_version",
    ],
    ["base", "outputs"],
    ["losses", "codes", "penalties", "corruptions"],
    ["networks"],
    ["_model.__init__", "_model.code_maps", "_model.weights"],
    ["_model.module"],
    ["_data.columns", "_data.dask_blocks", "_data.__init__", "_data.arrays"],
    ["_data.scaling", "_data.tables"],
    ["_data.out_of_core"],
    ["_data.training_rows"],
    ["_model.principal_axes", "_data.split"],
    ["_model.initializers"],
    ["_model.statistics"],
    ["_model.canonical", "_model.fitted_model"],
    ["_checkpoints.__init__", "_checkpoints.format"],
    ["_checkpoints.files"],
    ["_checkpoints.checkpoint"],
    [
        "_training.__init__",
        "_training.optimizers",
        "_training.processes",
        "_training.callbacks",
        "_training.resume",
        "_training.sklearn_callbacks",
    ],
    ["_training.net"],
    ["_estimator.__init__", "_estimator.dask", "_estimator.size_selection", "_estimator.persistence"],
    ["_estimator.configuration", "_estimator.fitted"],
    ["_autoencoder"],
    ["_metrics.__init__", "_metrics.reconstruction"],
    ["_metrics.components"],
    ["plotting._base", "plotting._checks"],
    ["plotting._mosaic"],
    [
        "plotting._components",
        "plotting._reconstruction",
        "plotting._traversal",
        "plotting._loss_curve",
        "plotting._size_curve",
        "plotting._scree",
        "plotting._code_scatter",
        "plotting._comparison",
    ],
    ["plotting.__init__"],
    ["model_selection._table"],
    ["model_selection._comparison"],
    ["model_selection._size_rule"],
    ["model_selection.__init__"],
    ["onnx", "datasets"],
    ["__init__"],
    ["__main__"],
]
LEVELS = {name: level for level, layer in enumerate(LAYERS) for name in layer}
#: What other files may import from the file of an axis: the base class, the registry, helpers; members never.
AXES = {
    "codes": {"Code", "CODES"},
    "losses": {"Loss", "LOSSES"},
    "penalties": {"Penalty", "PENALTIES", "penalties_of"},
    "corruptions": {"Corruption", "CORRUPTIONS", "corruption_of"},
}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
MAX_INDENTATION = 4

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything imported; ruff bans relative imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top(dotted_name: str) -> str:
    return dotted_name.split(".")[0]


def inner_module(dotted_name: str) -> str:
    """Return the file that an import from the package reads; names of no file are those of a package's __init__."""
    parts = dotted_name.split(".")[1:]
    for n_parts in range(len(parts), 0, -1):
        name = ".".join(parts[:n_parts])
        if name in LEVELS or f"{name}.__init__" in LEVELS:
            return name if name in LEVELS else f"{name}.__init__"
    return "__init__"


def path_of(name: str) -> Path:
    return PACKAGE / f"{name.replace('.', '/')}.py"


def upward_imports(name: str, source: str) -> list[str]:
    targets = {inner_module(dotted) for dotted in imported_names(ast.parse(source)) if top(dotted) == "sklearn_ae"}
    return sorted(target for target in targets if LEVELS[target] >= LEVELS[name])


def skorch_imports(name: str, source: str) -> list[str]:
    names = imported_names(ast.parse(source))
    return [dotted for dotted in names if top(dotted) == "skorch" and not name.startswith("_training.")]


def private_sklearn_imports(name: str, source: str) -> list[str]:
    def is_private(dotted: str) -> bool:
        return any(part.startswith("_") and part[:2] != "__" for part in dotted.split("."))

    names = imported_names(ast.parse(source))
    return [dotted for dotted in names if top(dotted) == "sklearn" and is_private(dotted) and name != "_utils.compat"]


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


def axis_of(dotted_name: str) -> str | None:
    """Return the axis that an import reads, if any."""
    file = inner_module(dotted_name) if top(dotted_name) == "sklearn_ae" else None
    return file if file in AXES else None


def member_imports(name: str, source: str) -> list[str]:
    """Return what a file imports from the files of the axes, but for what it may; whole files it may not."""
    dotted_names = [dotted for dotted in imported_names(ast.parse(source)) if axis_of(dotted) not in (None, name)]
    return [dotted for dotted in dotted_names if dotted.split(".")[-1] not in AXES[axis_of(dotted)]]


def members(axis: str) -> tuple[set[str], set[str]]:
    """Return the classes that the file of an axis defines, but for those that others may import, and short names."""
    tree = ast.parse(path_of(axis).read_text(encoding="utf-8"))
    (registry,) = (n.value for n in tree.body if isinstance(n, ast.AnnAssign) and n.target.id in AXES[axis])
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    return classes - AXES[axis], {key.value for key in registry.keys}


def alternatives(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a value is compared with: the items of a tuple, list, set or union, the key of a registry."""
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        parts = node.elts
    elif isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        parts = [node.slice] if node.value.id in set().union(*AXES.values()) else []
    else:
        yield node
        return
    for part in parts:
        yield from alternatives(part)


def compared(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield everything that a type or a value is tested for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"isinstance", "issubclass"}:
            yield from alternatives(node.args[1])
        elif isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                yield from alternatives(side)
        elif isinstance(node, ast.MatchClass):
            yield node.cls
        elif isinstance(node, ast.MatchValue):
            yield node.value


def names_from_elsewhere(tree: ast.AST) -> set[str]:
    """Return the names that a file defines as classes or imports from other files than those of the axes."""
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias, dotted in zip(node.names, imported_names(ast.Module([node], [])), strict=True):
                if axis_of(dotted) is None:
                    defined.add(alias.asname or top(alias.name))
    return defined


def member_tests(name: str, source: str) -> list[str]:
    """Return what a file tests for that is the class or the short name of a member of another file's axis."""
    tree = ast.parse(source)
    classes, short_names = (set().union(*sets) for sets in zip(*(members(a) for a in AXES if a != name), strict=True))
    elsewhere = names_from_elsewhere(tree)
    found = []
    for node in compared(tree):
        if isinstance(node, ast.Constant):
            found += [node.value] if node.value in classes | short_names else []
        elif isinstance(node, (ast.Name, ast.Attribute)):
            parts = ast.unparse(node).split(".")
            found += [parts[-1]] if parts[-1] in classes and parts[0] not in elsewhere else []
    return found


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
    assert files == {path_of(name).relative_to(PACKAGE).as_posix() for name in LEVELS}


@pytest.fixture(params=LEVELS)
def name(request) -> str:
    return request.param


@pytest.fixture
def source(name) -> str:
    return path_of(name).read_text(encoding="utf-8")


def test_imports_go_downwards(name, source):
    assert upward_imports(name, source) == []


def test_only_the_training_imports_skorch(name, source):
    assert skorch_imports(name, source) == []


def test_only_compat_imports_private_sklearn_names(name, source):
    assert private_sklearn_imports(name, source) == []


def test_matplotlib_is_imported_where_it_plots(source):
    assert eager_matplotlib_imports(source) == []


def test_members_of_the_axes_stay_in_their_files(name, source):
    assert member_imports(name, source) == []
    assert member_tests(name, source) == []


def test_files_are_small(source):
    assert len(code_lines(source)) <= MAX_FILE_LINES


def test_functions_are_short(source):
    assert long_functions(source) == []


def test_blocks_are_shallow(source):
    assert deep_lines(source) == []


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("_data.arrays", "from sklearn_ae._utils.compat import Interval", []),
        ("_data.arrays", "from sklearn_ae._training.net import Net", ["_training.net"]),
        ("_data.arrays", "from sklearn_ae._model import canonical", ["_model.canonical"]),
        ("_data.arrays", "import sklearn_ae._training.net as training", ["_training.net"]),
        ("_data.arrays", "def f():\n    from sklearn_ae import plotting", ["plotting.__init__"]),
        ("_data.arrays", "from sklearn_ae import AutoencoderTransformer", ["__init__"]),
        ("_data.arrays", "import sklearn_ae", ["__init__"]),
        ("_data.arrays", "from sklearn_ae._data.arrays import to_tensor", ["_data.arrays"]),
        ("codes", "from sklearn_ae.losses import Step", ["losses"]),
        ("__init__", "from sklearn_ae._autoencoder import AutoencoderTransformer", []),
    ],
)
def test_upward_imports_are_seen(name, source, expected):
    assert upward_imports(name, source) == expected


def test_skorch_imports_are_seen():
    source = "import skorch.callbacks\nfrom skorch import NeuralNet"
    assert skorch_imports("_data.arrays", source) == ["skorch.callbacks", "skorch.NeuralNet"]
    assert skorch_imports("_training.net", source) == []


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
    assert bool(private_sklearn_imports("_data.arrays", source)) is private
    assert private_sklearn_imports("_utils.compat", source) == []


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


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("_model.module", "from sklearn_ae.codes import CODES, Code", []),
        ("_data.arrays", "from sklearn_ae.corruptions import Corruption, corruption_of", []),
        ("_model.module", "from sklearn_ae.outputs import Sigmoid", []),
        ("_model.module", "from torch.nn import Identity", []),
        ("codes", "from sklearn_ae.codes import Gaussian", []),
        ("_model.module", "from sklearn_ae.codes import Code, Gaussian", ["sklearn_ae.codes.Gaussian"]),
        ("_model.module", "from sklearn_ae.codes import Gaussian as Code", ["sklearn_ae.codes.Gaussian"]),
        ("_model.module", "from sklearn_ae.codes import *", ["sklearn_ae.codes.*"]),
        ("_model.module", "from sklearn_ae.losses import Mixed", ["sklearn_ae.losses.Mixed"]),
        ("_model.module", "def f():\n    from sklearn_ae.penalties import Weighted", ["sklearn_ae.penalties.Weighted"]),
        ("_model.module", "from sklearn_ae import codes", ["sklearn_ae.codes"]),
        ("_model.module", "import sklearn_ae.codes as axis", ["sklearn_ae.codes"]),
        ("losses", "from sklearn_ae.codes import Gaussian", ["sklearn_ae.codes.Gaussian"]),
    ],
)
def test_imports_of_members_are_seen(name, source, expected):
    assert member_imports(name, source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("isinstance(code, Code)", []),
        ("isinstance(code, (str, Gaussian))", ["Gaussian"]),
        ("isinstance(code, Code | TopK)", ["TopK"]),
        ("issubclass(kind, codes.Gaussian)", ["Gaussian"]),
        ("isinstance(penalty, Weighted)", ["Weighted"]),
        ("isinstance(code, CODES['gaussian'])", ["gaussian"]),
        ("type(loss) is Mixed", ["Mixed"]),
        ("type(loss) in (Mixed, Poisson)", ["Mixed", "Poisson"]),
        ("loss.__class__ == Mixed", ["Mixed"]),
        ("type(loss).__name__ == 'Mixed'", ["Mixed"]),
        ("params.code == 'gaussian'", ["gaussian"]),
        ("'gaussian' != params.code", ["gaussian"]),
        ("x = 1 if params.loss in {'poisson', 'other'} else 0", ["poisson"]),
        ("match code:\n    case 'gaussian' | 'relu':\n        pass", ["gaussian", "relu"]),
        ("match code:\n    case TopK(k=1):\n        pass", ["TopK"]),
        ("params.output_activation == 'auto'", []),
        ("x == self.huber", []),
        ("code = 'gaussian'\nf(code, 'gaussian') == 3", []),
        ("from torch import nn\nisinstance(layer, nn.Sigmoid)", []),
        ("import torch\nisinstance(layer, torch.nn.Sigmoid)", []),
        ("from sklearn_ae.outputs import Sigmoid\nisinstance(output, Sigmoid)", []),
        ("from sklearn_ae.codes import Sigmoid\nisinstance(code, Sigmoid)", ["Sigmoid"]),
        ("class Gaussian:\n    pass\nisinstance(x, Gaussian)", []),
    ],
)
def test_tests_for_members_are_seen(source, expected):
    assert member_tests("_model.module", source) == expected


@pytest.mark.parametrize("axis", AXES)
def test_an_axis_may_test_for_its_own_members_alone(axis):
    key = {"codes": "top_k", "losses": "huber", "penalties": "l1", "corruptions": "masking"}[axis]
    assert key in members(axis)[1]
    assert member_tests(axis, f"x == {key!r}") == []
    assert all(member_tests(other, f"x == {key!r}") == [key] for other in AXES if other != axis)


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
