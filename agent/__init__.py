"""The program: loop, configuration, verdicts, response, store, shipping, central and the command line."""

VERSION = "0.1.0"
