"""The pages of the lifecycle: inboxes to decide in, records to read. Importing registers them."""

from approvals.admin import agents as agents
from approvals.admin import emergencies as emergencies
from approvals.admin import inboxes as inboxes
from approvals.admin import pauses as pauses
from approvals.admin import record_effects as record_effects
from approvals.admin import record_parts as record_parts
from approvals.admin import records as records
