"""The main job, shown on real input: `make demo`, or `python tests/demo/demo.py --help`.

A real model server is learned, attacked, frozen, explained, reported to
central and given back. Everything is driven through the public command line;
every condition is checked here. Exit code 0 only if all of them held.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # nothing must be installed

from tests.demo import attacking, learning
from tests.demo.commands import CommandError
from tests.demo.stage import Stage
from tests.demo.story import DemoFailedError, Story
from tests.servers.attack import DECOYS, Attack, AttackError, Listener, plant
from tests.servers.serve import ServerError, free_port

NO_PRIVILEGE = 77


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--shell", default="/bin/sh", help="sh, bash, dash, perl or python3, by path"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="of the attack's listener; 0: a free one"
    )
    parser.add_argument(
        "--secret", default="aws", help=f"decoy: {', '.join(DECOYS)}, or a path in a home directory"
    )
    parser.add_argument("--orphan", action="store_true", help="hide the shell behind a second fork")
    parser.add_argument(
        "--keep", action="store_true", help="keep the directory with logs and state"
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="every figure at the end: to FILE, or to stdout (the story then goes to stderr)",
    )
    return parser.parse_args()


def play(story: Story, stage: Stage, details: argparse.Namespace) -> None:
    """Play the seven steps; raises DemoFailedError where going on makes no sense."""
    listener = stage.listener = Listener(details.port or free_port()).start()
    secret = plant(stage.directory / "home", details.secret)
    attack = stage.attack = Attack(secret, listener.port, details.shell, details.orphan)
    attack.command()  # refuse an unknown shell before a minute of learning
    server, load = learning.serve(story, stage)
    try:
        cast = learning.watch(story, stage, server, load)
        learning.reload(story, cast)
        caught = attacking.strike(story, stage, cast, attack, listener)
        attacking.judge(story, stage, cast, caught)
        attacking.report(story, cast, caught)
        attacking.recover(story, stage, cast, caught)
    finally:
        load.interrupt()


def main() -> int:
    """Play, clean up, and say whether all was so."""
    details = options()
    if os.geteuid():
        sys.stderr.write("The demonstration loads BPF programs: run it as root.\n")
        return NO_PRIVILEGE
    story = Story(sys.stderr if details.json == "-" else sys.stdout)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that it cleans up
    stage = Stage()
    try:
        with stage:
            play(story, stage, details)
            stage.keep = details.keep or not story.held
    except DemoFailedError:
        pass  # told, and recorded, where it happened
    except (CommandError, ServerError, AttackError, OSError) as error:
        story.check("the demonstration came to its end", held=False, detail=str(error))
    finish(story, stage)
    if details.json:
        story.write_json(None if details.json == "-" else Path(details.json))
    return 0 if story.held else 1


def finish(story: Story, stage: Stage) -> None:
    """Say what came out, and where to look when something was not so."""
    failed = [check.name for check in story.checks if not check.held]
    if failed:
        story.say(f"\nNot so after {story.elapsed_s:.0f} s: {'; '.join(failed)}")
    else:
        story.say(f"\nAll {len(story.checks)} conditions held, in {story.elapsed_s:.0f} s.")
    if stage.directory.exists():
        story.say(f"Logs and state: {stage.directory}")


if __name__ == "__main__":
    raise SystemExit(main())
