"""What a Python tree is read to depend on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.stages.toolchains import python_requirements
from pressplay.stages.toolchains.python_requirements import Declared


def _write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_a_tree_that_declares_nothing_has_nothing_to_install(tmp_path: Path) -> None:
    _write(tmp_path, "app.py", "print()\n")
    _write(tmp_path, "pyproject.toml", '[project]\nname = "shelf"\nversion = "1"\n[tool.ruff]\n')
    _write(tmp_path, "requirements.txt", "# none yet\n\n")
    assert not python_requirements.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("requirements.txt", True),
        ("requirements-dev.txt", True),
        ("requirements_test.txt", True),
        ("test-requirements.txt", True),
        ("requirements/tests.txt", True),
        ("requirements/test-requirements.txt", True),
        ("requirements-docs.txt", False),
        ("dev.txt", False),
        ("notes/requirements.txt", False),
    ],
)
def test_files_of_requirements_count_by_their_usual_names(
    tmp_path: Path, name: str, counts: bool
) -> None:
    _write(tmp_path, name, "attrs\n")
    assert python_requirements.read(tmp_path).files == ((name,) if counts else ())


def test_a_line_for_the_tree_itself_makes_it_a_project_with_these_extras(tmp_path: Path) -> None:
    _write(tmp_path, "requirements.txt", "-e .[test, http]\n")
    _write(tmp_path, "requirements-dev.txt", "attrs  # why\n--editable=.\n")
    found = python_requirements.read(tmp_path)
    assert found.files == ("requirements-dev.txt",)
    assert found.is_project
    assert found.extras == ("http", "test")
    python_requirements.leave_out_the_tree(tmp_path)
    assert (tmp_path / "requirements-dev.txt").read_text() == "attrs\n"
    assert (tmp_path / "requirements.txt").read_text() == "\n"


def test_extras_and_groups_for_tests_count_and_others_do_not(tmp_path: Path) -> None:
    _write(
        tmp_path,
        "pyproject.toml",
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "a"\nversion = "1"\ndependencies = ["attrs"]\n'
        '[project.optional-dependencies]\ntest = ["mock"]\ndocs = ["sphinx"]\n'
        '[dependency-groups]\ndev = ["tox", {include-group = "lint"}]\nlint = ["ruff"]\n'
        'other = ["x"]\n',
    )
    assert python_requirements.read(tmp_path) == Declared(
        specifiers=("tox", "ruff"),
        is_project=True,
        extras=("test",),
        project_specifiers=("attrs", "mock"),
    )


def test_groups_that_include_each_other_come_to_an_end(tmp_path: Path) -> None:
    _write(
        tmp_path,
        "pyproject.toml",
        '[dependency-groups]\ndev = ["a", {include-group = "test"}]\n'
        'test = ["b", {include-group = "dev"}]\n',
    )
    assert set(python_requirements.read(tmp_path).specifiers) == {"a", "b"}


def test_without_a_build_system_the_named_dependencies_are_installed_and_no_package(
    tmp_path: Path,
) -> None:
    _write(
        tmp_path, "pyproject.toml", '[project]\nname = "a"\nversion = "1"\ndependencies = ["b"]\n'
    )
    assert python_requirements.read(tmp_path) == Declared(
        specifiers=("b",), project_specifiers=("b",)
    )


@pytest.mark.parametrize(
    ("files", "is_project"),
    [
        ({"a/__init__.py": ""}, False),
        ({"src/a/__init__.py": ""}, False),
        ({"a/__init__.py": "from importlib.metadata import version\n"}, True),
        ({"lib/a/__init__.py": ""}, True),
        ({"a/__init__.py": "", "setup.py": ""}, True),
        ({"a/__init__.py": "", "setup.cfg": "[metadata]\nname = a\n"}, True),
        ({"a/__init__.py": "", "setup.cfg": "[flake8]\n"}, False),
        ({"a/__init__.py": "", "setup.cfg": "not a configuration"}, False),
    ],
)
def test_a_package_is_installed_only_where_its_metadata_can_matter(
    tmp_path: Path, files: dict[str, str], is_project: bool
) -> None:
    _write(
        tmp_path,
        "pyproject.toml",
        '[build-system]\nrequires = []\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "a"\nversion = "1"\n',
    )
    for name, text in files.items():
        _write(tmp_path, name, text)
    assert python_requirements.read(tmp_path).is_project is is_project


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ('"^1.2.3"', "x>=1.2.3,<2"),
        ('"^0.2.3"', "x>=0.2.3,<0.3"),
        ('"^0.0.3"', "x>=0.0.3,<0.0.4"),
        ('"~1.2.3"', "x>=1.2.3,<1.3"),
        ('"~1"', "x>=1,<2"),
        ('"~=1.2"', "x~=1.2"),
        ('"1.2"', "x==1.2"),
        ('">=1,<3"', "x>=1,<3"),
        ('"*"', "x"),
        ('{version = "^2", extras = ["a", "b"]}', "x[a,b]>=2,<3"),
        ('{git = "https://example.com/x.git"}', ""),
        ('{path = "../x"}', ""),
    ],
)
def test_poetrys_form_of_a_version_is_understood(
    tmp_path: Path, constraint: str, expected: str
) -> None:
    _write(tmp_path, "pyproject.toml", f"[tool.poetry.group.dev.dependencies]\nx = {constraint}\n")
    assert python_requirements.read(tmp_path).specifiers == ((expected,) if expected else ())


def test_a_broken_pyproject_is_refused_by_name(tmp_path: Path) -> None:
    _write(tmp_path, "pyproject.toml", "[project\n")
    with pytest.raises(Refused, match=r"pyproject\.toml cannot be read"):
        python_requirements.read(tmp_path)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_tables_of_the_wrong_kind_are_no_dependencies(value: object) -> None:
    """Whatever stands where a list of texts belongs."""
    found = python_requirements.texts(value)
    assert all(isinstance(each, str) for each in found)
