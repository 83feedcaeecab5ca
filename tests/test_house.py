"""The house rules: three trees mirror each other, imports point down, files stay small."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from loomlab.catalog.axes import AXES, OF_HYDRA, OF_OTHER_VERBS, option_target
from loomlab.entry.cli import VERBS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "loomlab"
CONF = ROOT / "conf"
TESTS = ROOT / "tests"
AXIS_FOLDERS = [a.name for a in AXES if (SOURCE / a.name).is_dir()]
OPTION_FILES = sorted(p for a in AXES for p in (CONF / a.name).glob("*.yaml"))
WITH_TARGET = [p for p in OPTION_FILES if "_target_:" in p.read_text()]
PRESETS = [p for p in OPTION_FILES if p not in WITH_TARGET]
MODULES = sorted(SOURCE.rglob("*.py"))
HEAVY = {"torch", "transformers", "pytorch_lightning", "lightning", "peft", "wandb"}
GROUND = {
    "text",
    "measure",
    "component",
    "errors",
    "home",
    "allow",
    "secrets",
    "reach",
    "strict_json",
    "device",
    "quoting",
    "registration",
}
FLOORS = {
    **{"__main__": 6, "entry": 6, "sweep": 5, "plan": 5, "run": 4, "report": 4},
    **{"compose": 3, "catalog": 2},
}


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor(module: str) -> int:
    """6 entry, 5 sweep, 4 run and report, 3 compose, 2 catalog, 1 axes, 0 ground."""
    part = [*module.split("."), ""][1]
    return 0 if part in GROUND | {""} else FLOORS.get(part, 1)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported(path: Path, only_top: bool) -> set[str]:
    """Dotted names a module imports; those of own packages lead to the module that is meant."""
    found: set[str] = set()
    stack: list[ast.AST] = list(tree(path).body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{label(path)} imports relatively"
            base = node.module or ""
            inner = {f"{base}.{a.name}" for a in node.names}
            modules = {m for m in inner if m in OWN}
            found |= modules if modules and len(modules) == len(inner) else {base, *modules}
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if not (only_top and (function or is_type_checking(node))):
            stack += ast.iter_child_nodes(node)
    return found


OWN = {dotted(p): p for p in MODULES}


def at_top(module: str) -> set[str]:
    return imported(OWN[module], only_top=True)


def test_every_option_has_its_module_and_its_test():
    wrong = []
    for path in WITH_TARGET:
        axis, option = path.parent.name, path.stem
        module, _, name = yaml.safe_load(path.read_text())["_target_"].rpartition(".")
        if module != f"loomlab.{axis}.{option}" or name not in classes(module):
            wrong.append(f"{label(path)} is not made by a class of {axis}/{option}.py")
        if not (TESTS / axis / f"test_{option}.py").is_file():
            wrong.append(f"{label(path)} has no test of its name")
    assert wrong == []


def classes(module: str) -> set[str]:
    return {n.name for n in tree(OWN[module]).body if isinstance(n, ast.ClassDef)}


def test_every_module_of_an_axis_is_an_option_or_used_by_the_package():
    """Sharp rule: a module is the target of a YAML, or another module imports or names it."""
    targets = {yaml.safe_load(p.read_text())["_target_"].rpartition(".")[0] for p in WITH_TARGET}
    used = {name for p in MODULES for name in imported(p, only_top=False)}
    texts = "\n".join(p.read_text() for p in MODULES)
    used |= {dotted(p) for p in MODULES if f'"{dotted(p)}.' in texts}  # a `problem_check`
    folders = [SOURCE / axis for axis in AXIS_FOLDERS]
    modules = [dotted(p) for f in folders for p in f.glob("*.py") if p.name != "__init__.py"]
    assert [m for m in modules if m not in targets | used] == []


def test_every_preset_builds_on_an_option_and_is_named_by_a_test():
    tests = "\n".join(p.read_text() for p in TESTS.rglob("test_*.py"))
    wrong = []
    for path in PRESETS:
        axis, option = path.parent.name, path.stem
        if axis in ("experiment", "paths"):
            if not path.read_text().lstrip().startswith("#"):
                wrong.append(f"{label(path)} does not say what it is for")
            continue
        if not re.search(rf"""["']{option}["']|{axis}[/=]\[?{option}\b""", tests):
            wrong.append(f"{label(path)} is named by no test")
        bare = axis in ("debug", "logger", "callbacks")
        if not (bare or option_target((CONF,), axis, option)):
            wrong.append(f"{label(path)} builds on no option")
    assert wrong == []


def test_every_config_group_is_an_axis():
    groups = {p.name for p in CONF.iterdir() if p.is_dir()}
    assert groups - {a.name for a in AXES} - set(OF_OTHER_VERBS) == {OF_HYDRA}


def test_test_folders_mirror_the_package():
    for path in TESTS.rglob("test_*.py"):
        folder = path.parent
        if folder == TESTS:
            continue
        if folder.name == "experiments":
            assert (TESTS.parent / "experiments" / path.stem.removeprefix("test_")).is_dir()
            continue
        assert (SOURCE / folder.relative_to(TESTS)).is_dir(), label(path)
        module = SOURCE / folder.relative_to(TESTS) / path.name.removeprefix("test_")
        assert module.is_file(), f"{label(path)} tests no module of that name"


def test_imports_point_down():
    wrong = []
    for path in MODULES:
        face = dotted(path) == "loomlab"  # what users import stands above all
        here = FLOORS["entry"] if face else floor(dotted(path))
        up = {m for m in imported(path, only_top=False) if m in OWN and floor(m) > here}
        wrong += [f"{label(path)}: {m}" for m in up]
    assert wrong == []


def test_axes_import_nothing_of_the_floors_above():
    for path in MODULES:
        if floor(dotted(path)) == 1:
            own = imported(path, only_top=False) & OWN.keys()
            assert all(floor(m) <= 1 for m in own), label(path)


def test_no_circles():
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail, module])
        if module not in done:
            for other in sorted(at_top(module) & OWN.keys()):
                if not (other == "loomlab" or module.startswith(f"{other}.")):
                    visit(other, (*trail, module))
            done.add(module)

    for module in OWN:
        visit(module, ())
    assert done == set(OWN)


def test_entry_compose_and_catalog_import_nothing_heavy():
    """Neither at the top nor through what they import at the top."""
    stack = [(m,) for m in OWN if m.split(".")[1:2] in (["entry"], ["compose"], ["catalog"])]
    assert stack
    seen, wrong = {m for (m,) in stack}, []
    while stack:
        trail = stack.pop()
        for name in at_top(trail[-1]):
            if name.split(".")[0] in HEAVY:
                wrong.append(" -> ".join([*trail, name]))
            if name in OWN and name not in seen:
                seen.add(name)
                stack.append((*trail, name))
    assert wrong == []


@pytest.mark.parametrize("arguments", [[], *([verb] for verb in VERBS)], ids=str)
def test_help_loads_no_torch(arguments: list[str]):
    code = (
        "import sys\nfrom loomlab.entry.cli import main\n"
        f"try:\n    main({[*arguments, '--help']!r})\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('LOADED', sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout
    assert done.stdout.splitlines()[-1] == "LOADED []"


FILES = [
    *MODULES,
    *TESTS.rglob("*.py"),
    *CONF.rglob("*.yaml"),
    *(ROOT / "experiments").rglob("*.py"),
]


def test_files_are_ascii_and_short():
    wrong = []
    for path in FILES:
        text, limit = path.read_text(encoding="utf-8"), 300
        if path.parent == SOURCE / "entry":
            limit = 130
        if not text.isascii():
            wrong.append(f"{label(path)} is not ASCII")
        if (lines := text.count("\n")) > limit:
            wrong.append(f"{label(path)} has {lines} lines")
    assert wrong == []


AT_THE_TOP = {
    ".ci", ".gitattributes", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
    "Makefile", "README.md", "conf", "constraints.txt", "docs", "experiments", "outputs",
    "pyproject.toml", "src", "tests",
}  # fmt: skip


def test_nothing_stray_lies_at_the_top():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no checkout: nobody says which files belong to the project")
    assert {line.partition("/")[0] for line in listed.stdout.splitlines()} == AT_THE_TOP


def test_head_of_train_yaml_names_every_axis():
    head = [line for line in (CONF / "train.yaml").read_text().splitlines() if line[:1] == "#"]
    words = set(re.findall(r"\w+", " ".join(head)))
    assert [a.name for a in AXES if a.name not in words] == []
    for kind in ("outcome", "speed", "run"):
        line = next(line for line in head if line.startswith(f"#   {kind}:"))
        named = set(re.findall(r"\w+", line))
        assert {a.name for a in AXES if a.kind == kind} <= named
