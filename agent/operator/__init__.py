"""Operator probes: BCC programs of the host's own operator, run in workers beside the daemon."""
