"""The proof of a run, sealed: its evidence and the facts of its Workflow as one signed bundle.

Green or red: a run that failed has something to prove, too. One that ended before it began has
not.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from pressplay.base import clocks, files
from pressplay.base.clocks import SystemClock
from pressplay.evidence import bundles
from pressplay.evidence.bundles import About, Bundle
from pressplay.evidence.signing import SigningKey
from pressplay.stages import connections, runfacts, scratch
from pressplay.stages.environment import Outcome, StageEnvironment
from pressplay.stages.runfacts import RunFacts

RUN_FILE = "run.json"

_OF_PREFLIGHT = {"policy.json"}
"""Evidence that a run leaves which never came further than preflight."""


def run(env: StageEnvironment) -> Outcome:
    """Write what became of the run, its bundle and its digest; no bundle without evidence."""
    evidence = env.inputs / "evidence"
    with connections.open_kube(env) as kube:
        facts = runfacts.read(kube, env.get("NAMESPACE", "agents"), env.require("RUN"))
    env.write_output("run-decision", facts.decision)
    env.write_output("run-reason", facts.reason)
    if is_empty(evidence, facts):
        env.log("nothing_to_seal", run=facts.name, decision=facts.decision)
        return Outcome()
    bundle = seal(env, evidence, facts)
    digest = hashlib.sha256((bundle.path / bundles.INDEX).read_bytes()).hexdigest()
    env.write_output("bundle", digest)
    env.log("run_sealed", run=facts.name, verdict=bundle.verdict, bundle=digest)
    return Outcome()


def is_empty(evidence: Path, facts: RunFacts) -> bool:
    """Whether a run left nothing worth keeping: it was covered, superseded or refused."""
    found = {entry.name for entry in evidence.iterdir()} if evidence.is_dir() else set()
    return not found or (found <= _OF_PREFLIGHT and facts.decision != "proceed")


def seal(env: StageEnvironment, evidence: Path, facts: RunFacts) -> Bundle:
    """Build the bundle below the artifacts folder."""
    target = env.artifacts / "bundle"
    # A try that was killed may have left a part.
    shutil.rmtree(target, ignore_errors=True)
    repository = f"{facts.owner}/{facts.repo}" if facts.owner else ""
    about = About(
        run=facts.name,
        subject=facts.subject,
        repository=repository,
        head_sha=facts.head_sha,
        created=clocks.to_text(SystemClock().now()),
    )
    tree = scratch.folder() / "evidence"
    files.copy_plain(evidence, tree)
    record = facts.to_json(status=env.get("STATUS", facts.phase))
    (tree / RUN_FILE).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    key = SigningKey.from_folder(env.signing_key_dir)
    return bundles.build(tree, target, about=about, key=key, secrets=env.secrets)
