"""What a client of /mcp/ learns without a token: whose tokens count there (RFC 9728)."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from approvals.models import WorkloadIdentity


@require_safe
def resource_metadata(request: HttpRequest) -> JsonResponse:
    """Metadata of the protected resource; there is none while no issuer is registered."""
    in_force = WorkloadIdentity.objects.filter(removed_at=None).order_by("issuer")
    issuers = list(in_force.values_list("issuer", flat=True).distinct())
    if not issuers:
        raise Http404
    return JsonResponse(
        {
            "resource": f"{settings.BASE_URL}/mcp",
            "resource_name": "Countersign",
            "authorization_servers": issuers,
            "bearer_methods_supported": ["header"],
            "resource_documentation": f"{settings.BASE_URL}/api/v1/docs/",
        }
    )
