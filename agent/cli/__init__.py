"""The command line: one module for each group of commands.

Nothing here imports probes, collectors or detectors, nor anything else that
takes time, until a command that needs it runs.
"""

import typer

from agent.cli import (
    baselines,
    central,
    configuration,
    containments,
    daemon,
    drills,
    evaluation,
    evidence,
    keys,
    models,
    recording,
    top,
    verdicts,
    watching,
    workloads,
)
from agent.cli.options import remember_debug

app = typer.Typer(
    name="agent",
    help="Watches AI inference processes, explains how they deviate, and contains them.",
    epilog=(
        "Exit codes of every command: 0 done, 1 failed, 2 wrong usage, 3 the agent is not running, "
        "77 privileges are missing, 78 the configuration is wrong; others stand with the command."
    ),
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    callback=remember_debug,
)
for group in (
    daemon,
    top,
    watching,
    verdicts,
    containments,
    baselines,
    central,
    keys,
    configuration,
    evaluation,
    evidence,
    models,
    recording,
    drills,
    workloads,
):
    group.add(app)
