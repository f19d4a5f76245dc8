"""For readers of English."""
