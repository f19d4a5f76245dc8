"""How dates and times are written: the 24-hour clock."""
