"""A company's own system, described in one file and carried out without a line of Python."""
