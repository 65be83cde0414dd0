"""Drills: harmless simulations of attacks, and their legitimate look-alikes, on a live server."""
