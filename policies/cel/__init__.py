"""Conditions: compiled and asked in CEL, and what can be said of them without facts."""
