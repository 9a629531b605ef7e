"""The layout of the tests is as CONTRIBUTING.md says."""

import ast
from collections.abc import Iterator
from pathlib import Path

_TESTS = Path(__file__).parent.parent
_MODULES = sorted(_TESTS.rglob("*.py"))
_SUPPORT = _TESTS / "support"
_RUN_TESTS_AGAIN = {_TESTS / "group_protocol", _TESTS / "hash_partitions"}
"""They run tests of other folders with other settings, so they import test functions and their fixtures."""


def imported_files(module: Path) -> Iterator[Path]:
    """Return the files below `tests` that a module imports."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        paths = (_TESTS.parent.joinpath(*name.split(".")).with_suffix(".py") for name in names)
        yield from (path for path in paths if path.is_relative_to(_TESTS) and path.exists())


def may_import(module: Path, imported: Path) -> bool:
    """Return whether a module may import another.

    It may import helpers from `tests/support`, and, if it is not there itself, from its own folder. Tests are
    imported only to run them again.
    """
    if imported.is_relative_to(_SUPPORT):
        return True
    if imported.name.startswith("test_"):
        return module.parent in _RUN_TESTS_AGAIN
    return imported.parent == module.parent and not module.is_relative_to(_SUPPORT)


def test_helpers_that_several_folders_use_are_in_support() -> None:
    imports = [(module, imported) for module in _MODULES for imported in imported_files(module)]

    assert len(imports) > 400
    assert [pair for pair in imports if not may_import(*pair)] == []


def test_no_file_of_tests_is_long() -> None:
    lengths = {module: len(module.read_text(encoding="utf-8").splitlines()) for module in _MODULES}
    assert {module.name: length for module, length in lengths.items() if length > 500} == {}
