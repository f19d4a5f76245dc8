"""The address of the MCP endpoint."""

from __future__ import annotations

from django.urls import path

from approvals.mcp.views import McpView

app_name = "mcp"

urlpatterns = [path("", McpView.as_view(), name="mcp")]
