"""How dates and times read for people, everywhere: here is the only place that spells a format.

Templates name these (`|date:"DATETIME_FORMAT"`), code does so by `audit.lib.dates`. The clock has
24 hours, as logs and banks write it.
"""

DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j M Y, H:i"
RECORD_DATETIME_FORMAT = "j M Y, H:i:s"
"""For records and the trail, where several things happen in one minute."""
MONTH_DAY_FORMAT = "j M"

SHORT_DATE_FORMAT = DATE_FORMAT
SHORT_DATETIME_FORMAT = DATETIME_FORMAT
