"""Which of several runs goes on: the same answer from every side, in every order of events."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.stages.admission import rivals
from pressplay.stages.admission.rivals import Run, Standing

EARLY, LATE = "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"


def run(name: str, created: str = EARLY, **more: Any) -> Run:
    given: dict[str, Any] = {
        "template": "implementation-dag",
        "subject": "issue-7",
        "phase": "Running",
        "admitted": True,
    }
    return Run(name=name, created=created, **(given | more))


def test_a_run_alone_goes_on() -> None:
    assert rivals.judge(run("me"), [run("me")]) == Standing()


def test_an_older_run_of_the_same_subject_is_stopped() -> None:
    me, old = run("me", LATE), run("old")
    assert rivals.judge(me, [me, old]) == Standing(stop=("old",))


def test_the_older_run_gives_way_to_the_newer() -> None:
    me, new = run("me"), run("new", LATE)
    assert rivals.judge(me, [me, new]) == Standing(superseded_by="new")


def test_the_name_decides_within_one_second() -> None:
    a, b = run("a"), run("b")
    assert rivals.judge(a, [a, b]) == Standing(superseded_by="b")
    assert rivals.judge(b, [a, b]) == Standing(stop=("a",))


def test_a_newer_run_that_was_not_let_in_stops_nobody() -> None:
    me, refused = run("me"), run("refused", LATE, admitted=False)
    assert rivals.judge(me, [me, refused]) == Standing()


def test_a_live_run_on_the_same_head_covers_the_newer_one() -> None:
    old = run("old", subject="issue-7", pr="12", head="a" * 40)
    me = run("me", LATE, subject="pr-12", pr="12", head="a" * 40)
    assert rivals.judge(me, [me, old]) == Standing(covered_by="old")
    assert rivals.judge(old, [me, old]) == Standing()


def test_a_run_on_another_head_of_the_pull_request_supersedes() -> None:
    old = run("old", subject="issue-7", pr="12", head="a" * 40)
    me = run("me", LATE, subject="pr-12", pr="12", head="b" * 40)
    assert rivals.judge(me, [me, old]) == Standing(stop=("old",))


def test_a_push_of_our_own_is_covered_before_the_label_says_so() -> None:
    old = run("old", subject="issue-7", pr="12", head="a" * 40)
    me = run("me", LATE, subject="pr-12", pr="12", head="b" * 40)
    assert rivals.judge(me, [me, old], own_push=True) == Standing(covered_by="old")


@pytest.mark.parametrize(
    "change",
    [
        {"phase": "Succeeded"},
        {"phase": "Failed"},
        {"shutdown": True},
        {"template": "coderun-template"},
        {"parent": "me"},
        {"subject": "issue-8"},
    ],
)
def test_what_is_no_rival_changes_nothing(change: dict[str, Any]) -> None:
    me = run("me", LATE)
    assert rivals.judge(me, [me, replace(run("other"), **change)]) == Standing()


def test_a_run_that_was_told_to_stop_knows_it() -> None:
    assert rivals.judge(run("me", superseded_by="new"), []) == Standing(superseded_by="new")


def test_failed_runs_of_this_subject_and_head_count_as_attempts() -> None:
    me = run("me", head="a" * 40)
    runs = [
        me,
        run("failed", phase="Failed", head="a" * 40),
        run("broken", phase="Error", head=""),
        run("other-head", phase="Failed", head="b" * 40),
        run("stopped", phase="Failed", head="a" * 40, superseded_by="x"),
        run("green", phase="Succeeded", head="a" * 40),
        run("other", phase="Failed", subject="issue-8", head="a" * 40),
    ]
    assert rivals.failed_attempts(me, runs) == 2


def test_facts_are_read_from_a_workflow() -> None:
    workflow = {
        "metadata": {
            "name": "implement-r1-i7",
            "creationTimestamp": EARLY,
            "labels": {
                "pressplay.dev/subject": "issue-7",
                "pressplay.dev/pr": "12",
                "pressplay.dev/head": "a" * 40,
            },
            "annotations": {
                "pressplay.dev/admitted": "true",
                "pressplay.dev/superseded-by": "new",
            },
        },
        "spec": {"workflowTemplateRef": {"name": "implementation-dag"}, "shutdown": "Stop"},
        "status": {"phase": "Running"},
    }
    found = rivals.read_run(workflow)
    assert found == run(
        "implement-r1-i7", pr="12", head="a" * 40, shutdown=True, superseded_by="new"
    )
    assert not found.live


def test_a_bare_workflow_is_read_too() -> None:
    assert rivals.read_run({"metadata": {"name": "x"}, "spec": {}}) == Run(name="x", created="")


@dataclass
class World:
    """The store, as several preflights change it: each marks, looks, and stops, one by one."""

    runs: dict[str, Run]
    seen: dict[str, Standing] = field(default_factory=dict)

    def step(self, name: str, number: int) -> None:
        me = self.runs[name]
        if not me.live:
            return
        if number == 0:
            self.runs[name] = replace(me, admitted=True)
        elif number == 1:
            standing = rivals.judge(me, self.runs.values())
            self.seen[name] = standing
            if standing.covered_by or standing.superseded_by:
                self.runs[name] = replace(me, phase="Succeeded")
        else:
            for other in self.seen[name].stop:
                self.runs[other] = replace(self.runs[other], shutdown=True, superseded_by=name)

    def survivors(self) -> list[str]:
        return [name for name, each in self.runs.items() if each.live]


@st.composite
def interleavings(draw: st.DrawFn, names: tuple[str, ...]) -> list[tuple[str, int]]:
    """The three steps of each run, shuffled, each run's own in order."""
    order = draw(st.permutations([name for name in names for _ in range(3)]))
    done = dict.fromkeys(names, 0)
    steps = []
    for name in order:
        steps.append((name, done[name]))
        done[name] += 1
    return steps


def played(runs: list[Run], steps: list[tuple[str, int]]) -> list[str]:
    world = World({each.name: replace(each, admitted=False) for each in runs})
    for name, number in steps:
        world.step(name, number)
    return world.survivors()


@given(
    steps=interleavings(("a", "b")),
    heads=st.sampled_from([("", ""), ("1" * 40, "1" * 40), ("1" * 40, "2" * 40), ("", "1" * 40)]),
    created=st.sampled_from([(EARLY, EARLY), (EARLY, LATE), (LATE, EARLY)]),
)
def test_of_two_runs_exactly_one_goes_on(
    steps: list[tuple[str, int]], heads: tuple[str, str], created: tuple[str, str]
) -> None:
    runs = [
        run(name, when, subject="pr-3", pr="3", head=head)
        for name, when, head in zip("ab", created, heads, strict=True)
    ]
    assert len(played(runs, steps)) == 1


@given(steps=interleavings(("a", "b", "c")), head=st.sampled_from(["", "1" * 40]))
def test_of_three_runs_of_one_issue_or_head_exactly_one_goes_on(
    steps: list[tuple[str, int]], head: str
) -> None:
    runs = [run(name, head=head) for name in "abc"]
    assert len(played(runs, steps)) == 1
