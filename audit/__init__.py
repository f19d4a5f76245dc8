"""The trail: who did what to which record, in order, in a form nobody can quietly change."""
