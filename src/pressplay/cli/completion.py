"""`pressplay completion`: the script by which a shell completes verbs, options and runs."""

from __future__ import annotations

import click

_VARIABLE = "_PRESSPLAY_COMPLETE"


@click.command(epilog='Example: eval "$(pressplay completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, *, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash: eval "$(pressplay completion bash)"          in ~/.bashrc
    zsh:  eval "$(pressplay completion zsh)"           in ~/.zshrc
    fish: pressplay completion fish | source           in ~/.config/fish/config.fish
    """
    # Imported here: click loads its shells only for this.
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not known to click", ctx)
    script = kind(ctx.find_root().command, {}, "pressplay", _VARIABLE)
    click.echo(script.source_template % script.source_vars())
