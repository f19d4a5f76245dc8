"""How the OpenAPI document and its page are made; assets are ours, no CDN."""

from __future__ import annotations

from typing import Any

OPENAPI: dict[str, Any] = {
    "TITLE": "Countersign",
    "DESCRIPTION": "Propose bounded actions; people with the authority decide.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "PolicyVerdict": "approvals.api.shapes.VERDICTS",
        "DecisionVerdict": "approvals.choices.DecisionVerdict",
        "RequestState": "approvals.choices.State",
        "ExecutionState": "approvals.choices.ExecutionState",
    },
}
