"""The client's one file, for whoever has this installation's address and no repository."""

from __future__ import annotations

from pathlib import Path

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from approvals.api.views import AgentView

_FILE = Path(__file__).parents[1] / "client" / "countersign" / "client.py"


class ClientFileView(AgentView):
    """Python source; like the API's documentation it takes no key."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(
            _FILE.read_bytes(),
            content_type="text/x-python; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="countersign.py"'},
        )
