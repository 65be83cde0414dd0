"""What the agent does about a verdict: contain, freeze, kill, and give back.

The journal is written before the act, so that whoever comes next (the daemon
after a crash, or an operator's `agent release` with no daemon at all) knows
what was begun and can finish or undo it.
"""
