"""The program: loop, configuration, verdicts, response, store, shipping, central, commands."""

VERSION = "0.1.0"
