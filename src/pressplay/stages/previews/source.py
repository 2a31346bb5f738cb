"""The tree of one commit, for whoever builds it: has a read token, runs nothing of the tree's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pressplay.api import parameters
from pressplay.base.errors import Refused
from pressplay.stages import asking, connections, git, scratch
from pressplay.stages.environment import Outcome, StageEnvironment
from pressplay.stages.previews import recorded


def run(env: StageEnvironment) -> Outcome:
    """Export exactly the commit that was asked for; say so where its branch has moved on, and
    whether it is to be built.
    """
    request = asking.read_request(env)
    owner, repo = asking.repository_of(env)
    sha = parameters.check("sha", str(request.get("sha") or ""))
    ref = parameters.check("ref", str(request.get("ref") or ""))
    if not sha:
        raise Refused("spec.sha is empty; a preview is always of one commit")
    url, token = connections.clone_url(env, owner, repo), connections.read_token(env)
    with ThreadPoolExecutor(1) as beside:
        looking = beside.submit(_moved, env, owner, repo, ref=ref, sha=sha)
        clone = scratch.folder() / "clone.git"
        git.fetch_commit(clone, url=url, sha=sha, ref=ref, auth=token, depth=1)
        left_out = git.export_tree(clone, sha, env.out / "source")
        moved = looking.result()
    rules = recorded.read_policy(env.inputs / recorded.FILE)
    env.write_output("build", str(recorded.has_build(rules)).lower())
    env.log("source_exported", repository=f"{owner}/{repo}", sha=sha, links_left_out=len(left_out))
    return Outcome(reason=moved)


def _moved(env: StageEnvironment, owner: str, repo: str, *, ref: str, sha: str) -> str:
    """What to say where a branch is no longer at the commit; empty where it is, and for none."""
    if not ref:
        return ""
    with connections.open_forge(env) as forge:
        branch = forge.branch(owner, repo, ref)
    if branch and branch.sha == sha:
        return ""
    where = f"has moved on to {branch.sha[:10]}" if branch else "is gone"
    return f"Branch {ref} {where}; the preview shows {sha[:10]}, as asked"
