"""Writes the man pages and the shells' completions from the program itself.

`generate.py SHARE` fills SHARE/man and the completion directories of bash, zsh and fish.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from agent import VERSION
from agent.cli import app
from agent.operator.declaration import Attach, Declaration, Fields

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
EXAMPLE: Final = Path(__file__).parents[1] / "probes.d" / "native-modules.toml"

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


PROBES: Final = (
    "An operator probe is a C file in BCC's dialect and a TOML file of the same name beside "
    "it. The agent compiles it on this host in a worker of its own, attaches it, and takes "
    "its events as items of kind probe: learned by workload and role like every other item, "
    "told in verdicts, kept in recordings. Both files and their directory must be root's, "
    "writable by nobody else, and no links: what they say runs in the kernel.\n\n"
    "`agent config check` tells every mistake of every TOML file at once, with its line. "
    "SIGHUP (`systemctl reload inferward`) reads the directory again. `agent status` and "
    "`agent doctor` show each probe; one that does not compile, attaches nowhere or floods is "
    "off, with the reason, and the others go on."
)
C_FILE: Final = (
    "It submits one struct to one table of BPF_PERF_OUTPUT or BPF_RINGBUF_OUTPUT; the "
    "members' names and types are read from the compiled program. One member is the process: "
    "bpf_get_current_pid_tgid() >> 32. inferward_watched() is there for the asking: true if "
    "the calling process, or one of three parents, belongs to a watched workload; a probe on "
    "something that the whole host does should begin with it.\n\n"
    "Without kernel headers the agent makes them of the kernel's own types (BTF): types and "
    "functions are known there, a header's macros are not."
)


def keys(kind: type) -> Iterator[str]:
    """Yield the keys of one table of a declaration, with what each means and its default."""
    for one in dataclasses.fields(kind):
        if "check" not in one.metadata:
            continue
        shown = json.dumps(one.default)
        given = "" if one.default in {None, "", ()} else f" Default: {shown}."
        yield f".TP\n.B {roff(one.name)}\n{roff(one.metadata['words'] + '.' + given)}"


def probes_page() -> str:
    """Return inferward-probes.d(5) as roff; its keys are those the agent checks."""
    lines = [
        f'.TH INFERWARD-PROBES.D 5 "" "inferward {VERSION}" "Inferward"',
        ".SH NAME\ninferward\\-probes.d \\- operator probes of the inferward agent",
        ".SH SYNOPSIS\n.I /etc/inferward/probes.d/NAME.c",
        ".br\n.I /etc/inferward/probes.d/NAME.toml",
        f".SH DESCRIPTION\n{roff(PROBES)}",
        f".SH THE C FILE\n{roff(C_FILE)}",
        ".SH THE TOML FILE\n" + "\n".join(keys(Declaration)),
        ".SS [fields]\n" + "\n".join(keys(Fields)),
        ".SS [[attach]]\n" + "\n".join(keys(Attach)),
        f".SH EXAMPLE\n.nf\n{roff(EXAMPLE.read_text(encoding='utf-8'))}\n.fi",
        ".SH SEE ALSO\n.BR agent (1)",
    ]
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
    written = {"man/man1/agent.1": page(), "man/man5/inferward-probes.d.5": probes_page()}
    written |= {place: completion(shell) for shell, place in COMPLETIONS.items()}
    for place, text in written.items():
        target = share / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
