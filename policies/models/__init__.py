"""What policy and authority keep: people, limits, versions of the policy document."""

from policies.models.limits import ApprovalLimit
from policies.models.people import User
from policies.models.versions import PolicyVersion

__all__ = ["ApprovalLimit", "PolicyVersion", "User"]
