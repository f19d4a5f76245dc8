"""The systems companies really run, in private instances that keep nothing."""
