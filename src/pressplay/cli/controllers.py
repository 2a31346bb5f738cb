"""`pressplay controllers`: our controllers on a cluster, in the foreground."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: pressplay controllers --kubeconfig ~/.kube/config --context kind")
@click.option(
    "--kubeconfig",
    metavar="FILE",
    help="Where the cluster is. [default: $KUBECONFIG, else the pod's own, else ~/.kube/config]",
)
@click.option("--context", default="", help="Which of the kubeconfig's contexts.")
@click.option(
    "--namespace", default="agents", show_default=True, help="Where agent runs are looked for."
)
@click.option(
    "--forge-api",
    envvar="GITHUB_API_URL",
    show_envvar=True,
    default="https://api.github.com",
    show_default=True,
    metavar="URL",
    help="The forge that is asked whether a preview's pull request is closed.",
)
@click.option(
    "--app-key",
    envvar="PRESSPLAY_APP_KEY_DIR",
    show_envvar=True,
    type=click.Path(path_type=Path, file_okay=False),
    default="/var/run/secrets/github-app",
    show_default=True,
    help="Folder with the key of a GitHub App that may read pull requests there.",
)
def command(
    *, kubeconfig: str | None, context: str, namespace: str, forge_api: str, app_key: Path
) -> None:
    """Run the controllers for a cluster with Argo Workflows, until SIGTERM.

    CodeRuns and DocsRuns become Workflows and get their status from them; previews go when they
    expire or their pull request is closed. Run one of it; nothing is lost while none runs.
    """
    # Imported here: `--help` must not wait for a client's libraries.
    import asyncio  # noqa: PLC0415
    import logging  # noqa: PLC0415
    import os  # noqa: PLC0415

    from pressplay.app import controlling  # noqa: PLC0415
    from pressplay.cli import clusters, endings  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # One line a request of our own says nothing that the answer does not.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    environment = dict(os.environ)  # noqa: TID251 - where clients of a cluster look first
    settings = controlling.Settings(
        access=clusters.find(kubeconfig, context=context, environment=environment),
        namespace=namespace,
        forge_api_url=forge_api,
        app_key=app_key,
    )
    try:
        asyncio.run(controlling.serve(settings))
    except BaseExceptionGroup as group:
        raise endings.sentence(group) from None
