"""What is shipped, and that only the namespace is imported."""

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
FOLDERS = sorted(SETUPTOOLS["package-dir"].values())
CPP = ROOT / "deploy/cpp"  # a CMake package, built from the repository


def test_every_source_folder_is_shipped():
    on_disk = {
        "pocketbert." + ".".join(path.parent.relative_to(ROOT).parts)
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if CPP not in path.parents
    }
    assert on_disk == set(SETUPTOOLS["packages"])


def test_every_data_file_is_shipped():
    patterns = SETUPTOOLS["package-data"]
    for folder in FOLDERS:
        shipped = [*patterns["*"], *patterns.get(f"pocketbert.{folder}", [])]
        for path in (ROOT / folder).rglob("*"):
            if CPP in path.parents:
                continue
            if path.is_file() and path.suffix not in (".py", ".pyc", ".md"):
                assert any(path.match(pattern) for pattern in shipped), path


def test_type_checker_links_match_the_folders():
    links = {path.name: path.resolve() for path in (ROOT / ".namespace/pocketbert").iterdir()}
    assert links == {folder: ROOT / folder for folder in FOLDERS}


def test_folders_are_only_imported_through_the_namespace():
    bare = re.compile(rf"^\s*(?:from|import)\s+(?:{'|'.join(FOLDERS)})\b", re.MULTILINE)
    offenders = [
        str(path.relative_to(ROOT))
        for folder in [*FOLDERS, "tests", "benchmarks"]
        for path in (ROOT / folder).rglob("*.py")
        if bare.search(path.read_text())
    ]
    assert offenders == []


def test_every_source_folder_has_a_readme_and_links_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    pages += [ROOT / folder / "README.md" for folder in FOLDERS]
    pages.append(CPP / "README.md")
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_readme_commands_are_make_targets():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for command in re.findall(r"^    make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert command in targets
