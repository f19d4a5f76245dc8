"""How Django finds out what an account may open; `policies.authority` says who decides."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission
from django.db.models import Q


class OneStatementBackend(ModelBackend):
    """Django's own, but an account's permissions and its roles' are read in one statement."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        is_ordinary = user_obj.is_active and not user_obj.is_anonymous and not user_obj.is_superuser
        if obj is None and is_ordinary and not hasattr(user_obj, "_perm_cache"):
            given = user_obj.user_permissions.order_by().values("pk")
            by_roles = Permission.objects.filter(group__in=user_obj.groups.order_by().values("pk"))
            found = Permission.objects.filter(
                Q(pk__in=given) | Q(pk__in=by_roles.order_by().values("pk"))
            ).order_by()
            names = found.values_list("content_type__app_label", "codename")
            user_obj._perm_cache = {f"{app}.{name}" for app, name in names}
        known: set[str] = super().get_all_permissions(user_obj, obj)
        return known
