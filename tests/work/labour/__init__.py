"""Ordinary work, by the kind of program that does it."""
