"""Which paths an agent may change."""

import fnmatch
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.stages.gates import rules
from pressplay.stages.git import Change

BLOB = "1" * 40


def change(path: str, *, mode: str = "100644", old_mode: str = "000000") -> Change:
    return Change("A", path, old_mode, mode, "0" * 40, BLOB)


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("tests/test_a.py", "tests/**", True),
        ("tests/deep/test_a.py", "tests/**", True),
        ("tests", "tests/**", False),
        ("mytests/test_a.py", "tests/**", False),
        ("src/tests/a.py", "tests/**", False),
        ("src/tests/a.py", "**/tests/**", True),
        ("tests/a.py", "**/tests/**", True),
        ("tests/a.py", "tests/", True),
        ("tests/sub/a.py", "tests/*", False),
        ("tests/a.py", "tests/?.py", True),
        ("tests/a+b.py", "tests/a+b.py", True),
        ("testsXa.py", "tests.a.py", False),
        ("a\nb", "a*", True),
    ],
)
def test_a_glob_stays_in_its_folder_unless_it_has_two_stars(
    path: str, pattern: str, fits: bool
) -> None:
    assert rules.matches(path, [pattern]) is fits


@given(st.text(alphabet="ab*?.", max_size=8), st.text(alphabet="ab.", max_size=8))
def test_within_one_folder_a_glob_is_what_everybody_knows(pattern: str, name: str) -> None:
    if "**" not in pattern:
        assert rules.matches(name, [pattern]) == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    "path",
    [
        "app.py",
        "docs/github.md",
        "src/.githubber/x",
        "my.pressplay.yaml",
        "examples/.pressplay.yaml",
        "claude/readme.md",
        "agents/running.py",
        ".pre-commit-config.yaml",
    ],
)
def test_ordinary_files_may_be_changed(path: str) -> None:
    assert rules.judge_path(change(path)) == ""


@pytest.mark.parametrize("path", ["a\nb", "a\x1b[0m", "a\\b", "\udcff"])
def test_names_that_deceive_are_refused_and_shown_harmlessly(path: str) -> None:
    reason = rules.judge_path(change(path))
    assert "has a name" in reason
    assert reason.isprintable()


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (".pressplay.yaml", "the policy file"),
        (".Pressplay.YAML", "the policy file"),
        (".GitHub/workflows/ci.yml", "configuration of CI"),
        (".gitlab-ci.yml", "configuration of CI"),
        (".woodpecker.yaml", "configuration of CI"),
        ("Jenkinsfile", "configuration of CI"),
        ("azure-pipelines-nightly.yml", "configuration of CI"),
        ("sub/CLAUDE.md", "configuration of agents"),
        ("AGENTS.md", "configuration of agents"),
        (".claude/settings.json", "configuration of agents"),
        ("sub/.claude/settings.json", "configuration of agents"),
        (".mcp.json", "configuration of agents"),
        (".gitmodules", "submodules"),
    ],
)
def test_the_rules_of_the_game_may_not_be_changed(path: str, what: str) -> None:
    assert f"is {what}, which no agent may change" in rules.judge_path(change(path))


def test_removing_a_forbidden_file_is_refused_as_well() -> None:
    gone = Change("D", ".github/workflows/ci.yml", "100644", "000000", BLOB, "0" * 40)
    assert "configuration of CI" in rules.judge_path(gone)


def test_a_submodule_that_becomes_a_file_is_refused() -> None:
    assert "submodule" in rules.judge_path(change("sub", old_mode="160000"))


_PART = st.sampled_from(["..", "a", "b", "c"])


@given(st.lists(st.sampled_from(["a", "b"]), max_size=3), st.lists(_PART, min_size=1, max_size=5))
def test_a_link_that_is_let_through_stays_inside(folders: list[str], parts: list[str]) -> None:
    path, target = "/".join([*folders, "link"]), "/".join(parts)
    if not rules.judge_link(change(path, mode="120000"), target):
        landed = posixpath.normpath(posixpath.join(*folders, target) if folders else target)
        assert not landed.startswith("..")


@pytest.mark.parametrize("target", ["/etc", "..", "a/../../b", "a/.."])
def test_links_that_climb_are_refused(target: str) -> None:
    assert "leads out" in rules.judge_link(change("link", mode="120000"), target)


def test_a_link_may_climb_the_folders_that_it_lies_in() -> None:
    assert rules.judge_link(change("p/q/link", mode="120000"), "../../a") == ""
    assert rules.judge_link(change("p/q/link", mode="120000"), "../../../a") != ""


def test_qas_changes_outside_of_tests_are_each_named() -> None:
    changes = [change("tests/a.py"), change("app.py"), change("b.py")]
    reasons = list(rules.judge_tests_only(changes, ["tests/**"]))
    assert [reason.split()[0] for reason in reasons] == ["app.py", "b.py"]
