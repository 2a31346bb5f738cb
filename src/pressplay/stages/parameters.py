"""The names of a run's preview, made before anything is built.

A run that starts from an issue knows no pull request yet: its names come out empty here, and
deploy makes them later with the same function.
"""

from __future__ import annotations

from pressplay.api import names, parameters
from pressplay.api.names import PreviewNames
from pressplay.base.errors import Refused
from pressplay.stages import asking
from pressplay.stages.environment import Outcome, StageEnvironment

DEFAULT_DOMAIN = "preview.localhost"


def run(env: StageEnvironment) -> Outcome:
    """Check the parameters once more and hand them on, with the preview's names where known."""
    asked = asking.from_environment(env)
    if not asked.repository:
        raise Refused(parameters.NO_REPOSITORY)
    asking.check_allowed(env, asked.owner, asked.repo)
    env.write_output("base", _needed("base", parameters.check("ref", env.get("BASE"))))
    env.write_output("base-sha", _needed("base-sha", parameters.check("sha", env.get("BASE_SHA"))))
    preview = PreviewNames(namespace="", release="", host="")
    if asked.pr:
        preview = preview_names(env, owner=asked.owner, repo=asked.repo, pr=asked.pr)
    env.write_output("ns", preview.namespace)
    env.write_output("release", preview.release)
    env.write_output("host", preview.host)
    env.log(
        "parameters_set",
        repository=asked.repository,
        subject=asked.subject,
        pr=asked.pr,
        namespace=preview.namespace,
        release=preview.release,
        host=preview.host,
    )
    return Outcome()


def preview_names(env: StageEnvironment, *, owner: str, repo: str, pr: str) -> PreviewNames:
    """Where the preview of one pull request lives, by the operator's domain and scheme."""
    domain = parameters.check("domain", env.setting("PRESSPLAY_DOMAIN", DEFAULT_DOMAIN))
    scheme = env.setting("PRESSPLAY_NAMING", "pr")
    return names.preview(owner=owner, repo=repo, pr=pr, domain=domain, scheme=scheme)


def _needed(name: str, value: str) -> str:
    if not value:
        raise Refused(f"Parameter {name} is empty; preflight must have worked it out")
    return value
