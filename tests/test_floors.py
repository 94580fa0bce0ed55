"""Imports go downward only; a deferred or type-only import counts, a folder is one module."""

import ast
import functools
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FLOORS = {
    "errors": 0,
    "notes": 0,
    "arrays": 0,
    "atomic": 1,
    "commands": 0,
    "bootstrap": 1,
    "digests": 1,
    "hub": 1,
    "parent": 1,
    "paths": 1,
    "plugins": 1,
    "measures": 1,
    "prompt": 1,
    "vocabulary": 1,
    "task": 1,
    "texts": 1,
    "metrics": 1,
    "protocols": 1,
    "linalg": 1,
    "template": 1,
    "live": 1,
    "results": 2,
    "requests": 2,
    "formats": 2,
    "tables": 2,
    "models": 2,
    "datasets": 2,
    "analysis": 3,
    "training": 4,
    "evaluation": 4,
    "distillation": 5,
    "store": 5,
    "charts": 5,
    "readings": 6,
    "studies": 7,
    "reports": 7,
    "jobs": 8,
    "verbs": 9,
    "integrations": 9,
    "cli": 10,
    "app": 10,
}
# Floor 1 types name each other; these pairs are the only imports that stay on one floor.
SAME_FLOOR = {
    ("protocols", "prompt"),
    ("protocols", "task"),
    ("template", "task"),
    ("prompt", "linalg"),
    ("vocabulary", "linalg"),
    ("prompt", "live"),
    ("measures", "plugins"),
}
# A model's `.bin` is a pickle: it goes through the one restricted reader, which formats own.
SAME_FLOOR |= {("tables", "formats")}
# A name means the same files to a model as to its table, and a GGUF file has one reader.
SAME_FLOOR |= {("models", "tables")}


@functools.cache
def _imports_of(path: Path) -> list[ast.Import | ast.ImportFrom]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def _sources() -> list[Path]:
    return sorted((ROOT / "probe").rglob("*.py")) + sorted((ROOT / "app").rglob("*.py"))


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] if parts[0] == "app" else parts[1]


def _imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            if node.module == "probe":
                names |= {f"probe.{alias.name}" for alias in node.names}
            elif node.module:
                names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("probe.")} | {
        "app" for name in names if name.split(".")[0] in ("app", "dashboard")
    }


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    inside = parts[1:] if parts[:2] == ("app", "dashboard") else parts
    return ".".join(inside[:-1] if inside[-1] == "__init__" else inside)


def _files_imported(path: Path, modules: Mapping[str, Path]) -> set[str]:
    found = set()
    for node in _imports_of(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}": node.module for alias in node.names}
            found |= {name if name in modules else module for name, module in whole.items()}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & modules.keys()


def _packages_imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in _imports_of(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names


def _names(*requirements: list[str]) -> set[str]:
    return {_canonical(Requirement(one).name) for part in requirements for one in part}


def _canonical(name: str) -> str:
    return str(canonicalize_name(name))


@pytest.mark.parametrize("path", _sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downward(path: Path) -> None:
    module = _module(path)
    if module in {"__init__", "__main__"}:
        return  # the package's front doors re-export lazily
    assert module in FLOORS, f"{path} is on no floor: add it to FLOORS"
    for target in _imported(ast.parse(path.read_text())) - {module}:
        if target not in FLOORS:
            continue  # a name re-exported by the package itself
        assert FLOORS[target] < FLOORS[module] or (module, target) in SAME_FLOOR, (
            f"{module} (floor {FLOORS[module]}) imports {target} (floor {FLOORS[target]})"
        )


def test_no_file_imports_one_that_imports_it_in_turn() -> None:
    """Through whatever others, and however late; a name's file is the one that it is taken from."""
    modules = {_dotted(path): path for path in _sources()}
    imports = {name: _files_imported(path, modules) - {name} for name, path in modules.items()}
    while leaves := {name for name, found in imports.items() if not found & imports.keys()}:
        imports = {name: found for name, found in imports.items() if name not in leaves}
    in_circles = {name: sorted(found & imports.keys()) for name, found in imports.items()}
    assert not in_circles, f"these import in circles, or what does: {in_circles}"


NOT_OF_PAGES = {"models", "training", "evaluation", "distillation", "studies", "formats", "cli"}
"""Pages ask verbs for what these do; names of their types may stand in annotations."""


@pytest.mark.parametrize(
    "path", sorted((ROOT / "app").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_pages_ask_verbs_for_work(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for_types = {
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for part in ast.walk(node)
    }
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    at_work = _imported(ast.Module([one for one in imports if one not in for_types], []))
    assert not at_work & NOT_OF_PAGES


@pytest.mark.slow
def test_what_is_imported_is_declared_as_a_dependency() -> None:
    """A library that only comes along with another may be gone with its next release."""
    distributions = packages_distributions()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = _names(project["dependencies"], *(extras[name] for name in extras if name != "dev"))
    for path in _sources():
        for name in _packages_imported(path) - {"probe", "app", "dashboard"}:
            known = {_canonical(one) for one in distributions.get(name, [name])}
            assert known & declared, f"{path.relative_to(ROOT)} imports {name}: pyproject.toml"


def test_nobody_imports_the_package_front_door() -> None:
    """`from probe import load` inside the library would hide an upward import."""
    for path in _sources():
        if _module(path) in {"__init__", "__main__", "cli", "app"}:
            continue
        for node in _imports_of(path):
            if isinstance(node, ast.ImportFrom) and node.module == "probe":
                assert {a.name for a in node.names} <= set(FLOORS), path


def test_no_module_takes_a_standard_library_name() -> None:
    taken = {path.stem for path in _sources()} & set(sys.stdlib_module_names)
    assert not taken - {"__main__", "__init__"}


MOST_PARAMETERS = {"cli": 3}
"""Of one function; seven elsewhere. More are a value with a name of its own."""


@pytest.mark.parametrize("path", _sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_function_takes_more_than_one_can_keep_in_mind(path: Path) -> None:
    most = MOST_PARAMETERS.get(_module(path), 7)
    found = {one.name: _parameters(one) for one in _functions(path)}
    assert not {name for name, taken in found.items() if len(taken) > most}


def _functions(path: Path) -> list[ast.FunctionDef]:
    return [
        one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.FunctionDef)
    ]


def _parameters(function: ast.FunctionDef) -> list[str]:
    """The names of what is handed in; one that stands for any number is not counted."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return [one.arg for one in every if one.arg not in ("self", "cls")]
