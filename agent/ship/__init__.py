"""Carries verdicts to central: a bounded outbox on disk, and a worker the loop never waits for.

Names are found in the modules `outbox`, `shipper` and `wire`; this file imports
nothing, so that a program that only wants one of them pays for no other.
"""
