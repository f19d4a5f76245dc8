"""Databases of earlier versions, and what the present one must go on doing with them."""
