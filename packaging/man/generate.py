"""Writes the man page and the shells' completions from the command line itself.

`generate.py SHARE` fills SHARE/man/man1 and the completion directories of bash, zsh and fish.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from agent import VERSION
from agent.cli import app

COMPLETIONS: Final = {
    "bash": "bash-completion/completions/agent",
    "zsh": "zsh/vendor-completions/_agent",
    "fish": "fish/vendor_completions.d/agent.fish",
}
FILES: Final = (
    ("/etc/inferward/agent.toml", "configuration; agent.d/*.toml beside it are read after it"),
    ("/etc/inferward/workloads.d", "rules for workloads beside those that ship"),
    ("/etc/inferward/probes.d", "operator probes: NAME.c in BCC's C and NAME.toml, root's alone"),
    ("/usr/share/inferward/probes.d", "examples of operator probes, and how to write one"),
    ("/var/lib/inferward", "baselines, verdicts, journal, outbox and keys"),
    ("/var/lib/inferward-central", "what hosts reported, and central's keys"),
    ("/run/inferward", "control socket and lock"),
    ("/sys/fs/bpf/inferward", "maps and links; they outlive the daemon"),
)

OVERHEAD: Final = (
    "Every system call of the host runs one BPF program at its exit. For a process that nobody "
    "watches that is one look-up; for a watched one it counts the call. What this costs on your "
    "kernel, `make bench` measures in the source tree; `agent status` shows what the daemon "
    "itself uses. Above its processor budget it reads less often, and says so."
)
LIMITS: Final = (
    "Nothing is seen inside TLS or inside the GPU. A kernel or root outside the watched workloads "
    "can remove the probes: the agent puts them back and says so, and cannot prevent it. README "
    "and probes/README.md have the whole list."
)


def roff(text: str) -> str:
    """Return `text` as roff: no character of it is taken for a request or an escape.

    An empty line begins a paragraph.
    """
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    lines = (f"\\&{line}" if line[:1] in {".", "'"} else line for line in plain.splitlines())
    return "\n".join(line or ".PP" for line in lines)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - Typer's own classes differ by release
    """Yield every leaf command with its words, in the order the help lists them."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, child in inner.items():
        if not child.hidden:
            yield from commands(child, (*path, name))


def section(words: tuple[str, ...], command: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    """Yield the lines that document one command, in the words of its `--help`."""
    context = typer.Context(command, info_name=" ".join(words))
    use = " ".join(("agent", *words, *command.collect_usage_pieces(context)))
    yield f".SS {roff(use)}"
    yield roff(command.help or "")
    for parameter in command.params:
        if (record := parameter.get_help_record(context)) is not None:  # None: hidden
            names, told = record
            yield f".TP\n.B {roff(names)}"
            yield roff(told)
    if command.epilog:
        yield f".PP\n{roff(command.epilog)}"


def page() -> str:
    """Return agent(1) as roff."""
    top = typer.main.get_command(app)
    lines = [
        f'.TH AGENT 1 "" "inferward {VERSION}" "Inferward"',
        f".SH NAME\nagent \\- {roff(str(app.info.help))}",
        ".SH SYNOPSIS\n.B agent\n.I COMMAND\n[options]",
        ".SH COMMANDS",
    ]
    for words, command in commands(top):
        lines.extend(section(words, command))
    lines.append(".SH FILES")
    lines.extend(f".TP\n.I {roff(path)}\n{roff(what)}" for path, what in FILES)
    lines.append(f".SH EXIT STATUS\n{roff(str(app.info.epilog))}")
    lines.append(f".SH OVERHEAD\n{roff(OVERHEAD)}\n.SH LIMITS\n{roff(LIMITS)}")
    return "\n".join(lines) + "\n"


def completion(shell: str) -> str:
    """Return the completion script the program itself writes for `shell`."""
    environment = {**os.environ, "_AGENT_COMPLETE": f"source_{shell}"}
    program = [sys.executable, "-m", "agent.main"]
    asked = subprocess.run(program, env=environment, check=True, capture_output=True, text=True)
    return asked.stdout


def main() -> None:
    """Write every file below the directory given."""
    share = Path(sys.argv[1])
    written = {"man/man1/agent.1": page()}
    written |= {place: completion(shell) for shell, place in COMPLETIONS.items()}
    for place, text in written.items():
        target = share / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
