"""Showing a system who we are, where that takes more than a secret in a header."""
