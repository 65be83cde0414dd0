"""Windows, features, baselines, detectors, calibration, explanation.

Pure computation: no I/O, no clock, no randomness that is not seeded. Time enters as an
argument, so that a recording replays to identical verdicts.
"""
