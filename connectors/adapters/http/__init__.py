"""Any system that speaks JSON over HTTP, described by data instead of code."""
