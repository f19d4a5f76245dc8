"""How the admin looks: names, colours, and our own style and scripts on the theme's."""

from __future__ import annotations

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Countersign",
    "SITE_HEADER": "Countersign",
    "SITE_SUBHEADER": "People decide what agents may do",
    "SITE_SYMBOL": "approval",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "approvals.admin.dashboard.favicon"}
    ],
    "STYLES": ["approvals.admin.dashboard.stylesheet"],
    "SCRIPTS": [
        f"approvals.admin.dashboard.{name}" for name in ("script", "live_script", "keys_script")
    ],
    "COLORS": {
        "primary": {  # a calm slate blue: red, amber and green stay free to mean something
            "50": "oklch(97% .013 245)",
            "100": "oklch(94% .025 245)",
            "200": "oklch(89% .045 245)",
            "300": "oklch(81% .075 245)",
            "400": "oklch(70% .105 245)",
            "500": "oklch(60% .12 245)",
            "600": "oklch(52% .12 247)",
            "700": "oklch(45% .105 249)",
            "800": "oklch(39% .085 251)",
            "900": "oklch(34% .068 252)",
            "950": "oklch(25% .05 253)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "config.navigation.sidebar",
    },
}
