"""Ask the embedded engine and real Argo the same, and say where they differ.

    tools/differ.py [CASE…]             the embedded engine against the recorded answers
    tools/differ.py --record [CASE…]    ask the cluster of KUBECONFIG, and keep its answers
    tools/differ.py --file FILE         a case of your own, on both, now
    tools/differ.py --accept [CASE…]    the same, and write what differs into differing.yaml
    tools/differ.py --report            write docs/argo-compatibility.md

A CASE is TOPIC or TOPIC/NAME below tests/corpus/cases; without one, all. Ends with 1 where
something differs that tests/corpus/differing.yaml does not name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click
import yaml
from differential import answers, asking, cases, recordings, reporting, repository
from differential.asking import Runtime
from differential.cases import Case
from differential.cluster import Cluster
from differential.embedded import Embedded
from live.places import NotHere

from live import places
from pressplay.base.errors import PressplayError, Refused

T = TypeVar("T")


@click.command(help=__doc__)
@click.argument("names", nargs=-1, metavar="[CASE]…")
@click.option("--record", is_flag=True, help="Ask the cluster, and keep its answers.")
@click.option("--file", "path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--accept", is_flag=True, help="Take what differs as known, with what is missing.")
@click.option("--report", is_flag=True, help="Write the page of what agrees.")
@click.option("--width", default=4, show_default=True, help="How many are asked at once.")
def main(
    *,
    names: tuple[str, ...],
    record: bool,
    path: Path | None,
    accept: bool,
    report: bool,
    width: int,
) -> None:
    """See the module."""
    try:
        if report:
            reporting.write()
        elif path is not None:
            sys.exit(_both(cases.load(path)))
        elif record:
            sys.exit(_record(list(cases.load_all(names)), width=width))
        else:
            sys.exit(_compare(list(cases.load_all(names)), width=width, accept=accept))
    except PressplayError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)


def _record(asked: Sequence[Case], *, width: int) -> int:
    unanswered = 0
    with _cluster() as cluster:
        argo = cluster.version()

        def one(case: Case) -> str:
            namespace, workflow = asking.ask(cluster, case)
            answer = answers.read(workflow, namespace=namespace)
            word = "changed" if recordings.write(case, answer, argo=argo) else "as before"
            return f"{word:9} {answer['phase']:10} {case.name}"

        for case, said in _each(asked, one, width=width):
            unanswered += isinstance(said, PressplayError)
            click.echo(f"failed    {case.name}: {said}" if isinstance(said, Exception) else said)
    click.echo(f"{len(asked) - unanswered} of {len(asked)} answered by Argo {argo}")
    return 1 if unanswered else 0


def _compare(asked: Sequence[Case], *, width: int, accept: bool) -> int:
    known, unexpected, every = recordings.differing(), 0, {}
    with Embedded.running() as engine:
        for case, found in _each(asked, lambda case: differences(engine, case), width=width):
            lines = [str(found)] if isinstance(found, PressplayError) else found
            every[case.name] = lines
            mark = ("differs" if lines else "agrees") + (" (known)" if case.name in known else "")
            unexpected += bool(lines) != (case.name in known)
            click.echo(f"{mark:16} {case.name}")
            for line in lines:
                click.echo(f"    {line}")
    agreeing = sum(not lines for lines in every.values())
    click.echo(f"{agreeing} of {len(asked)} agree")
    if accept:
        recordings.accept(every)
    return 1 if unexpected and not accept else 0


@contextmanager
def _cluster() -> Iterator[Cluster]:
    """The cluster, with a place for artifacts that its pods can reach."""
    try:
        found = places.find(os.environ)  # noqa: TID251 - the cluster's settings are there
    except NotHere as error:
        raise Refused(str(error)) from error
    place = repository.start(cluster_tools=found.tools, cache=found.cache)
    with place as artifacts, Cluster.reached(also=artifacts.objects()) as cluster:
        yield cluster


def differences(engine: Runtime, case: Case) -> list[str]:
    """What the embedded engine answers otherwise than Argo did; what it refuses is one of them."""
    try:
        namespace, workflow = asking.ask(engine, case)
    except PressplayError as error:
        return [f"workflow: {error}"]
    return recordings.compare(case, workflow, namespace=namespace)


def _both(case: Case) -> int:
    with _cluster() as cluster:
        namespace, theirs = asking.ask(cluster, case)
        recorded = answers.read(theirs, namespace=namespace)
    click.echo(yaml.safe_dump(recorded, sort_keys=False, allow_unicode=True))
    with Embedded.running() as engine:
        namespace, ours = asking.ask(engine, case)
    seen = answers.read(ours, namespace=namespace)
    lines = [
        *answers.differences(recorded, seen, loose=case.loose),
        *answers.disorder(recorded, ours),
    ]
    for line in lines:
        click.echo(line)
    click.echo("they differ" if lines else "they agree")
    return 1 if lines else 0


def _each(
    asked: Sequence[Case], do: Callable[[Case], T], *, width: int
) -> Iterator[tuple[Case, T | PressplayError]]:
    """Several at once, told in order; an error of one is its answer."""

    def safely(case: Case) -> T | PressplayError:
        try:
            return do(case)
        except PressplayError as error:
            return error

    with ThreadPoolExecutor(width) as pool:
        yield from zip(asked, pool.map(safely, asked), strict=True)


if __name__ == "__main__":
    main()
