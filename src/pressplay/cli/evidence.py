"""`pressplay evidence`: look at a bundle, and recompute its verdict without asking anybody."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pressplay.evidence import verifying


@click.group(epilog="Example: pressplay evidence verify pressplay-evidence/implement-r1-i1")
def command() -> None:
    """Show and verify bundles of evidence."""


@command.command(epilog="Example: pressplay evidence verify BUNDLE --key signer.pem")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Public key (PEM) that must have signed it; else the key in the bundle is named only.",
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def verify(ctx: click.Context, *, bundle: Path, key: Path | None, output: str) -> None:
    """Recompute a bundle's verdict from its raw samples, with no network and no state.

    Exit code 0: valid. 1: something does not hold; each finding says what.
    """
    result = verifying.verify(bundle, public_key=key.read_bytes() if key else None)
    if output == "json":
        findings = [finding.__dict__ for finding in result.findings]
        click.echo(
            json.dumps({"valid": result.valid, "verdict": result.verdict, "findings": findings})
        )
    else:
        for finding in result.findings:
            mark = "✗" if finding.level == "error" else "note:"
            click.echo(f"{mark} {finding.path}: {finding.message}")
        click.echo(f"{'valid' if result.valid else 'NOT valid'}; verdict: {result.verdict}")
    ctx.exit(0 if result.valid else 1)
