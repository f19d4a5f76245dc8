"""One module per vendor: its double, and a case for every operation of its file."""
