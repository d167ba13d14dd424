"""
The floors of the house: each part stands only on those at or below its own floor.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import onelogin_connector

PACKAGE = "onelogin_connector"
SOURCE = Path(onelogin_connector.__file__).parent

FLOORS = [
    {
        "breakage",
        "cause",
        "errors",
        "failures",
        "hiding",
        "http_client",
        "kql",
        "loose",
        "marks",
        "moments",
        "plural",
        "reach",
        "retry",
        "setting",
        "status",
    },
    {"azure", "event", "onelogin"},
    {"formats", "identity", "matching", "simulator"},
    {"journal", "state", "store"},
    {"batch", "detections", "sinks", "sources"},  # a batch is cut to what a sink's limits say
    {"config", "delivery"},
    {"serverless", "service"},
    {"web"},
    {"cli"},
    {"testing"},  # what tests of others use: it may see everything, and nothing may need it
]
"""From the ground up. A new part gets its place here first."""

FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}

NOT_TOGETHER = {
    "sinks": {"sources", "journal"},  # a sink knows batches, not where they come from
    "sources": {"sinks"},  # a source knows the journal, not who reads it
    "delivery": {"config"},
    "config": {"delivery"},
    "serverless": {"service", "state", "store", "detections", "kql"},  # it has neither disk nor database
}
"""Parts on the same or a lower floor that must still not know each other."""

LARGEST_MODULE_LINES = 400

MODULES = sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    """
    Return a module's name below the package, ``""`` for the package itself.
    """
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """
    Give every imported name of a module, wherever it stands, with its line.
    """
    package = [PACKAGE, *path.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno


def our_parts(path: Path) -> Iterator[tuple[str, int]]:
    """
    Give the parts of ours that a module imports: the first word below the package.
    """
    for name, line in imports(path):
        words = name.split(".")
        if words[0] == PACKAGE and len(words) > 1 and words[1] in FLOOR_OF:
            yield words[1], line


def calls(tree: ast.AST, *names: str) -> Iterator[ast.AST]:
    """
    Give the calls of plain names.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


@pytest.fixture(params=MODULES, ids=[name_of(path) or PACKAGE for path in MODULES])
def module(request) -> Path:
    """
    Give each module of the package in turn.
    """
    return request.param


def test_every_part_has_a_floor():
    """
    A part without a place in the table could import anything unseen.
    """
    parts = {name_of(path).split(".")[0] for path in MODULES} - {"", "__main__"}
    assert parts <= set(FLOOR_OF), f"give these a floor: {sorted(parts - set(FLOOR_OF))}"


def test_the_page_draws_the_floors_as_they_are():
    """
    The documentation names every part of the program, each on its own floor, the highest first.
    """
    page = (SOURCE.parents[1] / "docs" / "architecture.md").read_text()
    words = page.partition("## The floors")[2].split("```")[1].split()
    parts = {name_of(path).split(".")[0] for path in MODULES} - {"", "__main__"}
    drawn = [FLOOR_OF[word] for word in words if word in parts]
    assert parts <= set(words)
    assert drawn == sorted(drawn, reverse=True)


def test_imports_point_down(module):
    """
    A module imports parts of its own floor or a lower one, never a higher one.
    """
    part = name_of(module).split(".")[0]
    if part not in FLOOR_OF:  # the package itself, and what the first test names
        return
    for other, line in our_parts(module):
        where = f"{module.relative_to(SOURCE)}:{line} imports {other}"
        assert FLOOR_OF[other] <= FLOOR_OF[part], f"{where}, which lies on a higher floor"
        assert other not in NOT_TOGETHER.get(part, ()), f"{where}; {part} must not know {other}"


def modules_imported(path: Path) -> set[str]:
    """
    Return which modules of ours a module imports, by name, also those it imports for their types alone.
    """
    known = {f"{PACKAGE}.{name_of(each)}" for each in MODULES}
    found = set()
    for name, _ in imports(path):
        words = name.split(".")
        ends = (".".join(words[:end]) for end in range(len(words), 1, -1))
        found.add(next((each.removeprefix(f"{PACKAGE}.") for each in ends if each in known), ""))
    return found - {"", name_of(path)}


def test_modules_do_not_import_each_other_in_a_circle():
    """
    Within a floor, too, imports run in one direction; only parts of the service know the whole, by type.
    """
    graph = {name_of(path): modules_imported(path) for path in MODULES}
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()
    for name, imported in graph.items():
        if name.startswith("service.") and name != "service.building":
            imported.discard("service.service")
    TopologicalSorter(graph).prepare()
    graph["errors"].add("store.events")
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


def test_the_package_itself_imports_nothing():
    """
    Importing the package must cost nothing, and close no circle.
    """
    assert not list(imports(SOURCE / "__init__.py"))


def test_kql_knows_only_errors():
    """
    The query compiler could be lifted out: of our parts it imports ``errors`` and itself.
    """
    for path in (SOURCE / "kql").rglob("*.py"):
        assert {part for part, _ in our_parts(path)} <= {"errors", "kql"}, path


def test_delivery_knows_no_concrete_sink():
    """
    The loop sends through the protocol; which sinks there are is no business of its own.
    """
    for path in [*SOURCE.glob("delivery.py"), *(SOURCE / "delivery").rglob("*.py")]:
        for name, line in imports(path):
            if name.startswith(f"{PACKAGE}.sinks"):
                assert name.startswith(f"{PACKAGE}.sinks.base."), f"{path.name}:{line} imports {name}"


def test_the_function_app_needs_no_database():
    """
    What the function app imports, however far down, is neither LMDB nor DuckDB nor uvloop.
    """
    code = (
        "import sys, onelogin_connector.serverless.building, onelogin_connector.azure.blob_storage\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "onelogin_connector" in done.stdout.split()
    heavy = {"lmdb", "duckdb", "uvloop", "starlette", "uvicorn", "argon2", "jinja2", "rich", "sqlite3"}
    assert not heavy & set(done.stdout.split())


def test_one_module_knows_the_translator():
    """
    The young KQL library sits behind one adapter, so that it can be replaced in one place.
    """
    users = {path for path in MODULES for name, _ in imports(path) if name.split(".")[0] == "duckdb_kql"}
    assert len(users) <= 1, users
    assert all(path.is_relative_to(SOURCE / "kql") for path in users)


def test_only_config_reads_the_environment(module):
    """
    Settings come in at one place; only the command line may hand the environment to it.
    """
    part = name_of(module).split(".")[0]
    if part in {"config", "cli"}:
        return
    for name, line in imports(module):
        assert name not in {"os.environ", "os.getenv", "os.environb"}, f"{module}:{line}"
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            where = f"{module.relative_to(SOURCE)}:{node.lineno}"
            assert node.attr not in {"environ", "getenv", "environb"}, f"{where} reads the environment"


def test_only_the_command_line_prints(module):
    """
    Parts return values and log; what a person sees is decided at the top.
    """
    if name_of(module).split(".")[0] == "cli":
        return
    found = [node.lineno for node in calls(ast.parse(module.read_text()), "print", "input", "breakpoint")]
    assert not found, f"{module.relative_to(SOURCE)} prints at lines {found}"


def test_modules_stay_readable(module):
    """
    A module of more than 400 lines holds two ideas.
    """
    lines = len(module.read_text().splitlines())
    assert lines <= LARGEST_MODULE_LINES, f"{module.relative_to(SOURCE)} has {lines} lines"


def test_no_part_keeps_changing_values_at_module_level(module):
    """
    Module-level lists, dicts and sets are constants by name, so that nothing is shared unseen.
    """
    for node in ast.parse(module.read_text()).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not node.value:
            continue
        mutable = isinstance(
            node.value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
        )
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if mutable and isinstance(target, ast.Name) and target.id != "__all__":
                where = f"{module.relative_to(SOURCE)}:{node.lineno}"
                assert target.id.isupper() or target.id.lstrip("_").isupper(), f"{where}: {target.id}"


def test_no_global_statement(module):
    """
    What changes belongs to an object that someone owns.
    """
    found = [node.lineno for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Global)]
    assert not found, f"{module.relative_to(SOURCE)} uses global at lines {found}"


def test_class_names_say_what_things_are(module):
    """
    A manager, a helper or a handler is a thing whose name was not found yet.
    """
    vague = ("Manager", "Helper", "Helpers", "Utils", "Util", "Handler")
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ClassDef):
            assert not node.name.endswith(vague), f"{module.relative_to(SOURCE)}:{node.lineno}: {node.name}"
    assert not module.stem.endswith(("utils", "helpers", "manager", "handlers")), module


def test_planted_wrong_imports_are_seen(tmp_path, monkeypatch):
    """
    The check itself works: an import of a higher floor is found in every form it can take.
    """
    monkeypatch.setitem(globals(), "SOURCE", tmp_path)
    folder = tmp_path / "store"
    folder.mkdir()
    planted = folder / "planted.py"
    for text in (
        "from onelogin_connector.web import app",
        "from onelogin_connector import web",
        "import onelogin_connector.web.app",
        "from ..web import app",
        "from .. import web",
        "def f():\n    from onelogin_connector.web.app import App",
    ):
        planted.write_text(text)
        assert "web" in {part for part, _ in our_parts(planted)}, text
