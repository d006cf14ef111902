"""`python -m dev.migration_rules`: whether new revisions of the schema can be shipped while orders are taken.

One change of the schema for each revision, because it commits by itself. What the release before still uses is only
added to (expand); what is dropped, renamed, or refuses what was accepted (contract) names the release since which
nobody uses it any more: `contracts = "v1.4.0"`, a tag of this repository.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from dev.stack.paths import ROOT

# Those up to this one were made before anything was live.
SINCE = "0026"
_VERSIONS = ROOT / "adapters" / "mysql" / "migrations" / "versions"
_DATA = frozenset({"f", "get_bind", "bulk_insert"})
_CONTRACTS = frozenset({"drop_table", "drop_column", "rename_table"})
_NARROWS = frozenset({"new_column_name", "type_", "nullable"})


def problems(folder: Path, released: frozenset[str]) -> Iterator[str]:
    """What is wrong with the revisions of a folder, a sentence each; `released` are the tags there are."""
    for path in sorted(folder.glob("*.py")):
        if path.stem[:4] >= SINCE:
            for problem in _problems(ast.parse(path.read_text()), released):
                yield f"{path.name}: {problem}"


def _problems(module: ast.Module, released: frozenset[str]) -> Iterator[str]:
    (upgrade,) = (one for one in module.body if isinstance(one, ast.FunctionDef) and one.name == "upgrade")
    calls = [call for node in ast.walk(upgrade) if (call := _operation(node)) is not None]
    changes = [(name, call) for name, call in calls if name not in _DATA]
    repeated = [node for node in ast.walk(upgrade) if isinstance(node, ast.For | ast.While)]
    if len(changes) > 1 or (changes and any(_operation(node) for loop in repeated for node in ast.walk(loop))):
        yield "it changes the schema more than once; each change commits by itself and is a revision of its own"
    contracting = next((name for name, call in changes if _is_contract(name, call)), None)
    since = _constant(module, "contracts")
    if contracting and since is None:
        yield f"{contracting} takes away what the release before uses; name the release that no longer does: contracts"
    if since is not None and since not in released:
        yield f"contracts = {since!r} is no release; its tag is not there"


def _operation(node: ast.AST) -> tuple[str, ast.Call] | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        return (node.func.attr, node) if node.func.value.id == "op" else None
    return None


def _is_contract(name: str, call: ast.Call) -> bool:
    arguments = {keyword.arg: keyword.value for keyword in call.keywords}
    if name == "alter_column":
        nullable = arguments.get("nullable")
        widens = set(arguments) & _NARROWS == {"nullable"} and isinstance(nullable, ast.Constant) and nullable.value
        return bool(set(arguments) & _NARROWS) and not widens
    return name in _CONTRACTS


def _constant(module: ast.Module, name: str) -> str | None:
    for node in module.body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", None) for target in node.targets] == [name]:
            assert isinstance(node.value, ast.Constant)
            return str(node.value.value)
    return None


def _tags() -> frozenset[str]:
    done = subprocess.run(["git", "tag", "--list"], cwd=ROOT, capture_output=True, text=True, check=False)
    return frozenset(done.stdout.split())


def check(folder: Annotated[Path, typer.Argument(help="Where the revisions are.")] = _VERSIONS) -> None:
    """Check that the revisions of the schema can be shipped while orders are taken."""
    found = list(problems(folder, _tags()))
    for problem in found:
        typer.echo(problem, err=True)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    typer.run(check)
