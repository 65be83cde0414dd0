#!/bin/sh
# The rest is systemd's work; session.service runs the session.
exec /lib/systemd/systemd
