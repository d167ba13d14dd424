"""
The documentation says what the program does: names exist, examples work, generated parts are current.
"""

import importlib.util
import json
import re
import shlex
import subprocess
import tomllib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import onelogin_connector
from onelogin_connector.cli.arguments import parser
from onelogin_connector.config import PREFIX, load, variables
from onelogin_connector.config.function import NAMES as FUNCTION_NAMES
from onelogin_connector.event import Way, read
from onelogin_connector.sinks import registry
from onelogin_connector.sources.problems import KINDS

ROOT = Path(__file__).parents[2]
SOURCE = Path(onelogin_connector.__file__).parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TEXT = {path: path.read_text() for path in PAGES}
ALL_TEXT = "\n".join(TEXT.values())

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
METRIC = re.compile(r"onelogin_connector_\w+")
METRIC_ENDS = re.compile(r"_(bucket|sum|count)$")  # of a histogram's samples

SECRET = b64encode(b"a secret of sufficient length").decode()  # a workspace's key is Base64
SOURCE_TEXT = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))


def shown(path: Path) -> str:
    """
    Name a page in a test's title.
    """
    return str(path.relative_to(ROOT))


def generator() -> ModuleType:
    """
    Load the script that writes the generated parts.
    """
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(language: str) -> Iterator[tuple[Path, str]]:
    """
    Give every code block of a language.
    """
    for path, text in TEXT.items():
        for found in FENCE.finditer(text):
            if found[1] == language:
                yield path, found[2]


def commands() -> Iterator[tuple[str, list[str]]]:
    """
    Give every call of the program in the pages' shell examples, with its arguments.
    """
    for path, block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"\S*onelogin-connector ", line):
                words = shlex.split(line, comments=True)
                end = next((i for i, word in enumerate(words) if word in {"|", "<", ">", "&&"}), len(words))
                yield f"{shown(path)}: {line.strip()}", words[1:end]


def anchors(text: str) -> set[str]:
    """
    Return the anchors of a page's headings, as the usual renderers make them.
    """
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def flags() -> set[str]:
    """
    Return the variables that are twins of flags.
    """
    return parser({})[1]


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_generated_parts_are_current(path):
    """
    What the program says of itself and what the pages say is the same; `make docs` mends it.
    """
    assert generator().renewed(TEXT[path]) == TEXT[path], "run: make docs"


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_links_resolve(path):
    """
    Every link to a file or a heading of ours leads there.
    """
    for target in LINK.findall(FENCE.sub("", TEXT[path])):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (path.parent / name).resolve() if name else path
        assert other.exists(), f"{shown(path)} links to {target}"
        if anchor:
            assert anchor in anchors(other.read_text()), f"{shown(path)} links to {target}"


def test_every_page_is_reached_from_the_readme():
    """
    A page that nobody links to is not read.
    """
    for path in (ROOT / "docs").glob("*.md"):
        assert f"docs/{path.name})" in TEXT[ROOT / "README.md"], path.name
    for path in (ROOT / "docs" / "decisions").glob("0*.md"):
        assert f"({path.name})" in TEXT[ROOT / "docs" / "decisions" / "README.md"], path.name
    sinks = ROOT / "docs" / "sinks" / "README.md"
    for path in sinks.parent.glob("[!R]*.md"):
        assert f"({path.name})" in TEXT[sinks], path.name
    for path in (ROOT / "docs" / "guides").glob("*.md"):
        known = (
            f"(../guides/{path.name})" in TEXT[sinks]
            or f"(docs/guides/{path.name})" in TEXT[ROOT / "README.md"]
        )
        assert known, path.name
    assert "(docs/sinks/)" in TEXT[ROOT / "README.md"]


def test_every_kind_of_sink_has_its_page():
    """
    Each kind is described on a page of its own, whose settings come from the program.
    """
    for kind in registry.kinds():
        assert f"<!-- generated: settings_{kind} -->" in TEXT[ROOT / "docs" / "sinks" / f"{kind}.md"]


def test_generated_files_are_current():
    """
    The bodies of tables and rules are what the program sends rows for; `make docs` mends them.
    """
    for path, text in generator().bodies().items():
        assert path.read_text() == text, f"{shown(path)}: run: make docs"


def test_there_are_examples():
    """
    The search for examples finds them, so that the tests below hold something.
    """
    assert len(list(commands())) > 15


@pytest.mark.parametrize("arguments", [pytest.param(found, id=where) for where, found in commands()])
def test_example_commands_are_understood(arguments):
    """
    Every command in the pages is one that the command line takes; otherwise it would exit with its usage.
    """
    assert parser({})[0].parse_args(arguments).command


def test_make_targets_exist():
    """
    Every `make` target in the pages is in the Makefile, and the other way round.
    """
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|&& )make ([a-z-]+)", ALL_TEXT, re.MULTILINE))
    assert named <= targets
    assert {"run", "demo", "test", "bench", "check", "setup", "docs", "lock", "fix", "function-zip"} <= named


@pytest.mark.parametrize("block", [pytest.param(block, id=shown(path)) for path, block in blocks("toml")])
def test_example_settings_are_accepted(block, tmp_path):
    """
    Every settings example in the pages can be used as it stands, given its secrets.
    """
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    tomllib.loads(block)
    names = re.findall(r'env = "(\w+)"', block)
    block = re.sub(r'file = "[^"]+"', f'file = "{secret}"', block)
    path = tmp_path / "onelogin-connector.toml"
    path.write_text(block)
    assert load(path, dict.fromkeys(names, SECRET), folder=tmp_path)


def test_the_example_event_is_one():
    """
    What the README sends by curl is an event whose time and account are read.
    """
    found = re.search(r"-d '(\[.*?\])'", TEXT[ROOT / "README.md"], re.DOTALL)
    assert found
    for record in json.loads(found[1]):
        event = read(json.dumps(record).encode(), connector="c", way=Way.WEBHOOK, received_us=2**52)
        assert event.account
        assert not event.flags


def test_every_variable_is_described():
    """
    Each environment variable stands in the pages, and each that stands there exists.
    """
    of_function_app = {name for name in FUNCTION_NAMES if name.startswith(PREFIX)}
    known = set(variables()) | flags() | {f"{PREFIX}CONFIG"} | of_function_app
    named = {name for name in re.findall(rf"{PREFIX}[A-Z_]+", ALL_TEXT) if not name.endswith("_")}
    assert known - named == set(), "not described"
    assert named - known == set(), "described, but unknown to the program"


def test_every_problem_is_described():
    """
    Each problem by which something is refused stands in troubleshooting.
    """
    text = TEXT[ROOT / "docs" / "troubleshooting.md"]
    assert all(f"`{name}`" in text for name in KINDS)


def test_every_metric_is_described():
    """
    Each metric stands in operations with its labels, and each that stands there exists.
    """
    text = TEXT[ROOT / "docs" / "operations.md"]
    described = {
        METRIC_ENDS.sub("", name).removeprefix("onelogin_connector_") for name in METRIC.findall(text)
    }
    built = set(re.findall(r'Family\(\s*"(\w+)"', SOURCE_TEXT))
    assert built, "no metric was found in the source; this test looks in the wrong place"
    assert built == described


def test_every_route_is_described():
    """
    Each address that is served stands in the page of the API.
    """
    from onelogin_connector.web.endpoints import ENDPOINTS

    text = TEXT[ROOT / "docs" / "api.md"]
    paths = {endpoint.path.replace(":int", "") for endpoint in ENDPOINTS}
    paths |= set(re.findall(r'Route\(\s*"(/[^"]*)"', SOURCE_TEXT))
    assert {path for path in paths if f"{path}`" not in text} == set()


def test_every_part_has_its_word():
    """
    Each part of the program is a word of the glossary.
    """
    words = {
        word.rstrip("s")
        for word in re.findall(r"^\| \*\*(.+?)\*\*", TEXT[ROOT / "docs" / "glossary.md"], re.MULTILINE)
    }
    parts = {path.stem for path in SOURCE.glob("[a-z]*.py")}
    parts |= {path.name for path in SOURCE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert {part for part in parts if part.rstrip("s") not in words} == set()


def test_the_glossary_is_in_order():
    """
    A word is found where the alphabet puts it, and once.
    """
    words = re.findall(r"^\| \*\*(.+?)\*\*", TEXT[ROOT / "docs" / "glossary.md"], re.MULTILINE)
    assert words == sorted(set(words))


def tracked() -> list[Path]:
    """
    Return the files that are under version control, or all where there is none.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        return [path for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("words", ["/work" + "/", "/root" + "/", ".." + "/shared", "/home" + "/"])
def test_no_file_names_somebodys_machine(words):
    """
    Paths of the machine on which something was written mean nothing on any other.
    """
    found = [shown(path) for path in tracked() if words.encode() in path.read_bytes()]
    assert not found


def test_locks_hold_hashes_and_no_addresses():
    """
    Each locked requirement has a version and hashes; where it is fetched from is not our business.
    """
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "://" not in text
        for requirement in re.split(r"\n(?=\w)", text.strip()):
            assert re.match(r"[\w.-]+==\S+", requirement), requirement
            assert "--hash=sha256:" in requirement, requirement


def test_locks_hold_every_dependency():
    """
    What the project asks for is locked in a version that it accepts by name.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras, name in (([], "base"), (project["optional-dependencies"]["dev"], "dev")):
        locked = set(
            re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE)
        )
        for dependency in [*project["dependencies"], *extras]:
            wanted = re.match(r"[\w.-]+", dependency)
            assert wanted
            assert wanted[0] in locked, f"{dependency}: run make lock"


def test_each_dependency_has_its_reason():
    """
    A dependency without a reason beside it is one too many.
    """
    text = (ROOT / "pyproject.toml").read_text()
    for block in re.findall(r"^(?:dependencies|dev) = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE):
        for line in block.strip().splitlines():
            assert re.search(r'",\s+# \w+', line), line
