"""One run: a tree of calls, walked by coroutines, remembered by the record of each node.

A restart walks the same tree again: nodes that have ended answer from their record, the others
run anew. So there is no second way of going on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pressplay.base.clocks import Clock
from pressplay.base.errors import Refused
from pressplay.cluster.port import Object, Objects
from pressplay.engine import (
    depends,
    nodes,
    passing,
    places,
    planning,
    resolving,
    resources,
    retrying,
    scoping,
    synchronizing,
    templates,
)
from pressplay.engine.expressions import govaluate
from pressplay.engine.holding import Held, Waiting
from pressplay.engine.library import Library
from pressplay.engine.locks import Locks
from pressplay.engine.nodes import Outcome, Phase
from pressplay.engine.places import Place, Ready
from pressplay.engine.planning import Ended
from pressplay.engine.port import Pods, StepPod
from pressplay.engine.records import NewNode, Records
from pressplay.engine.scoping import Surroundings
from pressplay.engine.stopping import CutShort, Stop
from pressplay.engine.templates import Call, Kind, Task

Json = Mapping[str, Any]


class Operation:
    """Walks one Workflow from its beginning, or from where its record ends, to its end."""

    def __init__(
        self,
        *,
        objects: Objects,
        pods: Pods,
        locks: Locks,
        clock: Clock,
        workflow: Object,
        spec: Json,
        parameters: Mapping[str, str],
    ) -> None:
        self._objects = objects
        self._pods = pods
        self._workflow = workflow
        self._spec = spec
        self._records = Records(objects=objects, workflow=workflow, clock=clock)
        self._library = Library(
            objects=objects, namespace=workflow["metadata"]["namespace"], local=spec
        )
        self._globals = scoping.globals_of(workflow, parameters=parameters)
        self._text = json.dumps(spec)
        self._held = Held(
            objects=objects,
            locks=locks,
            records=self._records,
            workflow=workflow,
            priority=int(spec.get("priority") or 0),
        )
        self.stop = Stop()

    def let_go(self) -> None:
        """Give back every lock, for an operation that will not go on."""
        self._held.let_go()

    async def take_run_locks(self, *, waiting: Waiting) -> None:
        """Wait for what the run itself is to hold until its end; stopping it ends the wait.

        Raises Refused for locks that cannot be had at all.
        """
        written = self._spec.get("synchronization") or {}
        raw = resolving.substitute(written, self._surroundings().scope)
        wanted = synchronizing.parse_locks(passing.mapping(raw), where="spec.synchronization")
        if not wanted:
            return
        with contextlib.suppress(CutShort):
            taking = self._held.take(wanted, node="", waiting=waiting)
            await self.stop.unless_asked(taking, exiting=False)

    async def walk(self) -> Outcome:
        """Run everything but the exit handler."""
        name = self._records.workflow
        call = Call(self._spec.get("entrypoint", ""))
        arguments = templates.parse_bindings(self._spec.get("arguments", {}))
        outcome = await self._call(
            call, arguments, place=Place(name, name), around=self._surroundings()
        )
        await self._records.settled()
        if self.stop.is_asked() and not outcome.phase.is_good:
            return replace(outcome, message=self.stop.message)
        if outcome.raised:
            return replace(outcome, message=f"error in entry template execution: {outcome.message}")
        return outcome

    async def walk_exit(self, status: Phase, *, call: Call, arguments: Json) -> Outcome:
        """Run the exit handler, which sees how the run went."""
        name = f"{self._records.workflow}.onExit"
        failures = json.dumps(self._records.failures() or None)
        self._globals["workflow.status"] = str(status)
        self._globals["workflow.failures"] = json.dumps(failures)
        around = self._surroundings()
        filled = resolving.substitute(arguments, around.scope, strict=True)
        place = Place(name, name, exiting=True, flag="hooked")
        outcome = await self._call(
            call, templates.parse_bindings(passing.mapping(filled)), place=place, around=around
        )
        await self._records.settled()
        if outcome.raised:
            # The space before the colon is Argo's.
            return replace(outcome, message=f"error in exit template execution : {outcome.message}")
        return outcome

    def _surroundings(self) -> Surroundings:
        around = Surroundings(resolving.Scope(self._globals))
        return around.with_globals(self._records.outputs)

    async def _call(
        self, call: Call, arguments: templates.Bindings, *, place: Place, around: Surroundings
    ) -> Outcome:
        """Run the template that `call` names, unless the record already knows how it ended."""
        known = self._records.outcome(place.name)
        if known is not None:
            return known
        try:
            raw, home = await self._library.find(call, holder=place.holder)
            ready = self._prepare(raw, arguments, place=place, call=call, around=around)
            ready = replace(ready, place=replace(place, holder=home))
            if self.stop.is_asked(exiting=place.exiting) or not await self._take_locks(ready):
                return await self._cut_short(place, call)
        except Refused as error:
            return await self._fail_early(place, call, message=str(error))
        run = self._retried if ready.template.retry is not None else self._once
        outcome = await run(ready)
        # Only here: after a cancellation the record still says who holds them, for a restart.
        await self._held.give_back(node=place.name)
        return outcome

    async def _take_locks(self, ready: Ready) -> bool:
        """Wait for what the template asks for; False where the run was stopped meanwhile."""
        if not ready.template.locks:
            return True
        kind = "Retry" if ready.template.retry is not None else places.type_of(ready.template)

        async def wait(lock: str, message: str) -> None:
            await self._records.wait(places.new_node(ready, kind), lock=lock, message=message)

        taking = self._held.take(ready.template.locks, node=ready.place.name, waiting=wait)
        try:
            await self.stop.unless_asked(taking, exiting=ready.place.exiting)
        except CutShort:
            return False
        return True

    async def _cut_short(self, place: Place, call: Call) -> Outcome:
        return await self._fail_early(place, call, message=self.stop.node_message, failed=True)

    def _prepare(
        self,
        raw: Json,
        arguments: templates.Bindings,
        *,
        place: Place,
        call: Call,
        around: Surroundings,
    ) -> Ready:
        """Work out the inputs and fill the template's own tags. Raises Refused."""
        outer = self._surroundings()
        declared = templates.parse_bindings(
            passing.mapping(resolving.substitute(raw.get("inputs", {}), outer.scope))
        )
        given = scoping.bind_inputs(declared, arguments, around=around, where=place.name)
        inner = outer.with_inputs(given)
        template = passing.filled_template(raw, inner.scope)
        return Ready(place, call, template, given, inner, raw)

    async def _fail_early(
        self, place: Place, call: Call, *, message: str, failed: bool = False
    ) -> Outcome:
        """A node that could not begin: recorded all the same, so that the run explains itself."""
        await self._records.begin(places.skipped_node(place, call))
        outcome = Outcome(Phase.FAILED if failed else Phase.ERROR, message, raised=not failed)
        await self._records.end(place.name, outcome)
        return outcome

    async def _once(self, ready: Ready) -> Outcome:
        """One try of a template, by its kind."""
        template, place = ready.template, ready.place
        runners = {
            Kind.POD: self._pod,
            Kind.RESOURCE: self._resource,
            Kind.STEPS: self._steps,
            Kind.DAG: self._dag,
        }
        await self._records.begin(places.new_node(ready, places.type_of(template)))
        try:
            outcome = await runners[template.kind](ready)
        except Refused as error:
            outcome = Outcome(Phase.ERROR, str(error), raised=True)
        await self._records.end(place.name, outcome, declared=template.outputs)
        return outcome

    async def _retried(self, ready: Ready) -> Outcome:
        """Tries as children `name(0)`, `name(1)`, … of a Retry node."""
        place, retry = ready.place, ready.template.retry
        assert retry is not None  # noqa: S101 - the caller chose by it
        node = await self._records.begin(places.new_node(ready, "Retry"))
        tries, last, names = 0, Outcome(Phase.ERROR), retrying.NO_TRY
        message = ""
        while not message:
            child = replace(
                place,
                name=f"{place.name}({tries})",
                display=f"{place.display}({tries})",
                parents=(node,),
                flag="retried",
            )
            last = await self._try(retrying.for_try(ready, names), child)
            if last.phase.is_good:
                break
            if self.stop.is_asked(exiting=place.exiting):
                message = self.stop.message
                break
            tries += 1
            names = retrying.names_after(last, tries=tries)
            around = ready.around.with_names(names)
            try:
                message = retrying.why_over(retry, last, tries=tries, around=around)
            except Refused as error:
                last = Outcome(Phase.ERROR, str(error), raised=True)
                break
            delay_s = retry.backoff.delay_s(tries)
            gone_s = self._records.seconds_since_start(f"{place.name}(0)")
            message = message or planning.too_late(retry.backoff, gone_s=gone_s, delay_s=delay_s)
            if not message:
                await self.stop.pause(delay_s, exiting=place.exiting)
        outcome = replace(last, message=message or last.message)
        await self._records.end(place.name, outcome, declared=ready.template.outputs)
        return outcome

    async def _try(self, ready: Ready, place: Place) -> Outcome:
        known = self._records.outcome(place.name)
        return known if known is not None else await self._once(replace(ready, place=place))

    async def _pod(self, ready: Ready) -> Outcome:
        template, place = ready.template, ready.place
        node = nodes.node_id(self._records.workflow, place.name)
        step = StepPod(
            uid=node,
            name=nodes.pod_name(self._records.workflow, place.name, template.name),
            namespace=self._workflow["metadata"]["namespace"],
            workflow=self._records.workflow,
            service_account=self._spec.get("serviceAccountName", ""),
            template=replace(template, deadline_s=self._left(ready)),
            given=ready.given,
            wants_result=f"{places.bare_name(place)}.outputs.result" in self._text,
        )
        running = asyncio.ensure_future(self._pods.run(step))
        if await self.stop.ends_first(running, exiting=place.exiting):
            return running.result()
        await self._pods.stop(node)
        outcome = await running
        return replace(outcome, phase=Phase.FAILED, message=self.stop.node_message)

    async def _resource(self, ready: Ready) -> Outcome:
        waiting = asyncio.wait_for(
            resources.run_resource(self._objects, ready.template, owner=self._workflow),
            timeout=self._left(ready),
        )
        try:
            return await self.stop.unless_asked(waiting, exiting=ready.place.exiting)
        except CutShort:
            return Outcome(Phase.FAILED, self.stop.node_message)
        except TimeoutError:
            message = "Pod was active on the node longer than the specified deadline"
            return Outcome(Phase.FAILED, message)

    def _left(self, ready: Ready) -> float | None:
        """Seconds until the template's deadline, counted from the node's first beginning."""
        if ready.template.deadline_s is None:
            return None
        gone = self._records.seconds_since_start(ready.place.name)
        return max(0.0, ready.template.deadline_s - gone)

    async def _steps(self, ready: Ready) -> Outcome:
        around = ready.around
        own = nodes.node_id(self._records.workflow, ready.place.name)
        parents: tuple[str, ...] = (own,)
        for number, group in enumerate(ready.template.groups):
            ended, verdict = await self._group(ready, group, (number, parents, around))
            parents = self._outbound(each.node for each in ended)
            if verdict.phase is not Phase.SUCCEEDED:
                self._records.set_outbound(own, parents)
                return Outcome(Phase.FAILED, verdict.message)
            for each in ended:
                around = around.with_outcome(f"steps.{each.step.name}", each.node, each.outcome)
        self._records.set_outbound(own, parents)
        return Outcome(
            Phase.SUCCEEDED, "", passing.declared_outputs(ready.template.outputs, around)
        )

    def _outbound(self, found: Iterable[str]) -> tuple[str, ...]:
        """Where the graph goes on behind nodes that have ended."""
        return tuple(dict.fromkeys(end for each in found for end in self._records.outbound(each)))

    async def _group(
        self,
        ready: Ready,
        group: tuple[Task, ...],
        at: tuple[int, tuple[str, ...], Surroundings],
    ) -> tuple[list[Ended], planning.Verdict]:
        """One list of parallel steps, as a StepGroup node."""
        number, parents, around = at
        around = around.with_globals(self._records.outputs)
        place = ready.place
        boundary = nodes.node_id(self._records.workflow, place.name)
        name = f"{place.name}[{number}]"
        node = await self._records.begin(
            NewNode(
                name=name,
                display=f"[{number}]",
                kind="StepGroup",
                template={"templateScope": place.holder} if place.holder else {},
                boundary=boundary,
                parents=parents,
            )
        )
        here = replace(place, boundary=boundary, parents=(node,), flag="")
        places = [replace(here, name=f"{name}.{s.name}", display=s.name) for s in group]
        ended: list[Ended] = []
        try:
            worked = [self._worked_out(step, around) for step in group]
        except Refused as error:
            verdict = planning.unresolved_group(str(error))
        else:
            async with asyncio.TaskGroup() as running:
                tasks = [
                    running.create_task(self._go_on(step, each, place=at_, around=around))
                    for step, each, at_ in zip(group, worked, places, strict=True)
                ]
            ended = [
                Ended(s, at_.name, nodes.node_id(self._records.workflow, at_.name), task.result())
                for s, at_, task in zip(group, places, tasks, strict=True)
            ]
            verdict = planning.assess_group(ended)
        if self._records.outcome(name) is None:
            await self._records.end(name, Outcome(verdict.phase, verdict.message))
        return ended, verdict

    async def _dag(self, ready: Ready) -> Outcome:
        tasks = ready.template.tasks
        rules = {task.name: depends.parse(task.depends) for task in tasks}
        needs = {name: tuple(rule.tasks) for name, rule in rules.items()}
        planning.check_tasks(tasks, needs=needs, where=ready.place.name)
        outcomes: dict[str, Outcome] = {}
        done = {task.name: asyncio.Event() for task in tasks}

        async def follow(task: Task) -> None:
            for need in needs[task.name]:
                await done[need].wait()
            before = planning.ancestors(task.name, needs=needs)
            around = self._after(ready, {name: outcomes[name] for name in before})
            place = self._task_place(ready, task, needs=needs[task.name])
            results = {name: str(outcomes[name].phase) for name in needs[task.name]}
            if rules[task.name].holds(results):
                outcomes[task.name] = await self._task(task, place=place, around=around)
            else:
                message = "omitted: depends condition not met"
                omitted = Outcome(Phase.OMITTED, message)
                outcomes[task.name] = await self._skip(place, task, omitted)
            done[task.name].set()

        async with asyncio.TaskGroup() as running:
            for task in tasks:
                running.create_task(follow(task))
        leaves = planning.targets(tasks, needs=needs)
        own = nodes.node_id(self._records.workflow, ready.place.name)
        ends = [nodes.node_id(self._records.workflow, f"{ready.place.name}.{n}") for n in leaves]
        self._records.set_outbound(own, self._outbound(ends))
        verdict = planning.assess_dag(leaves, outcomes=outcomes, needs=needs)
        if verdict.phase is not Phase.SUCCEEDED:
            return Outcome(verdict.phase, verdict.message)
        outputs = passing.declared_outputs(ready.template.outputs, self._after(ready, outcomes))
        return Outcome(Phase.SUCCEEDED, "", outputs)

    def _after(self, ready: Ready, outcomes: Mapping[str, Outcome]) -> Surroundings:
        around = ready.around
        for name, outcome in outcomes.items():
            node = nodes.node_id(self._records.workflow, f"{ready.place.name}.{name}")
            around = around.with_outcome(f"tasks.{name}", node, outcome)
        return around

    def _task_place(self, ready: Ready, task: Task, *, needs: tuple[str, ...]) -> Place:
        place = ready.place
        boundary = nodes.node_id(self._records.workflow, place.name)
        parents = self._outbound(
            nodes.node_id(self._records.workflow, f"{place.name}.{need}") for need in needs
        )
        return replace(
            place,
            name=f"{place.name}.{task.name}",
            display=task.name,
            boundary=boundary,
            parents=parents or (boundary,),
            flag="",
        )

    async def _task(self, task: Task, *, place: Place, around: Surroundings) -> Outcome:
        """A DAG task: its `when`, its arguments, its call."""
        known = self._records.outcome(place.name)
        if known is not None:
            return known
        if self.stop.is_asked(exiting=place.exiting):
            # It leaves no node, as in Argo: a stopped DAG begins nothing.
            return Outcome(Phase.FAILED, self.stop.node_message)
        around = around.with_globals(self._records.outputs)
        try:
            worked = self._worked_out(task, around)
        except Refused as error:
            return await self._fail_early(place, task.call, message=str(error))
        return await self._go_on(task, worked, place=place, around=around)

    @staticmethod
    def _worked_out(task: Task, around: Surroundings) -> templates.Bindings | Outcome:
        """The arguments of a call, or how it ends where `when` does not hold. Raises Refused."""
        scope = around.scope
        when = resolving.substitute_text(task.raw.get("when", ""), scope, strict=True)
        if when and not govaluate.evaluate_bool(when):
            return Outcome(Phase.SKIPPED, f"when '{when}' evaluated false")
        written = passing.without_sources(task.raw.get("arguments", {}))
        filled = passing.mapping(resolving.substitute(written, scope, strict=True))
        return passing.with_sources(templates.parse_bindings(filled), task)

    async def _go_on(
        self,
        task: Task,
        worked: templates.Bindings | Outcome,
        *,
        place: Place,
        around: Surroundings,
    ) -> Outcome:
        if isinstance(worked, Outcome):
            return await self._skip(place, task, worked)
        return await self._call(task.call, worked, place=place, around=around)

    async def _skip(self, place: Place, task: Task, outcome: Outcome) -> Outcome:
        known = self._records.outcome(place.name)
        if known is not None:
            return known
        await self._records.begin(places.skipped_node(place, task.call))
        await self._records.end(place.name, outcome)
        return outcome


async def finished(work: Awaitable[Outcome]) -> Outcome:
    """Await a walk, turning what Argo would call a controller error into an outcome."""
    try:
        return await work
    except Refused as error:
        return Outcome(Phase.ERROR, f"error in entry template execution: {error}")
