"""The contracts of .importlinter, which make lint checks, find what is wrong; and rooms use what others hand on."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "caffe_losses"
WITH_A_DOOR = "wiring", "templates", "evaluation"  # others take from these only what their __init__.py names


def contracts(folder):
    """The exit code and output of import-linter."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(cache_dir=None))"
    done = subprocess.run([sys.executable, "-c", code], cwd=str(folder), capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("room, statement, broken", [
    ("net/view.py", "from ..wiring import deploy", "Imports run downwards BROKEN"),
    ("data/lists.py", "def f():\n    from ..net import kinds", "Imports run downwards BROKEN"),
    ("net/kinds.py", "from . import heads", "Imports run downwards in net, too BROKEN"),
    ("templates/known.py", "from . import files", "No imports run in a circle, in any room BROKEN"),
    ("spare.py", "", "Imports run downwards"),
])  # fmt: skip
def test_the_contracts_find_what_is_wrong(tmp_path, room, statement, broken):
    for path in (*PACKAGE.rglob("*.py"), ROOT / ".importlinter"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    with open(tmp_path / "caffe_losses" / room, "a") as file:
        file.write(f"\n{statement}\n")
    code, output = contracts(tmp_path)
    assert code != 0
    assert broken in output


def imported_names():
    """(file, module as a list of words, name) of each relative import."""
    for path in PACKAGE.rglob("*.py"):
        package = path.relative_to(PACKAGE).parent.parts
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                start = package[: len(package) - node.level + 1]
                for alias in node.names:
                    yield path, [*start, *(node.module or "").split(".")], alias.name


def test_rooms_take_what_others_hand_on():
    for path, module, name in imported_names():
        module = [word for word in module if word]
        room = path.relative_to(PACKAGE).parts[0]
        assert not name.startswith("_") or name == "__version__", (path, name)
        if module and module[0] in WITH_A_DOOR and room != module[0]:
            assert len(module) == 1, f"{path}: import {name} from {module[0]} itself"


@pytest.mark.parametrize("room", [*WITH_A_DOOR, "net", "commands", "data"])
def test_init_files_hand_names_on_and_hold_nothing(room):
    body = ast.parse((PACKAGE / room / "__init__.py").read_text()).body
    assert all(isinstance(node, (ast.Expr, ast.ImportFrom, ast.Assign)) for node in body)
    assert [node.targets[0].id for node in body if isinstance(node, ast.Assign)] in ([], ["__all__"])


def text_formats():
    return [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if "text_format" in path.read_text()]


def test_one_file_knows_the_text_format():
    assert [str(path) for path in text_formats()] == ["net/prototxt.py"]
