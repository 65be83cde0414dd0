"""What people read: tables and sentences made of the plain values that `--json` prints."""
