"""Recordings: what the detectors were given, in a file, and the same verdicts from it again."""
