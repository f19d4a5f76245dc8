"""The pages of the lifecycle: inboxes to decide in, records to read. Importing registers them."""

from approvals.admin import agents as agents
from approvals.admin import break_glass as break_glass
from approvals.admin import connections as connections
from approvals.admin import inboxes as inboxes
from approvals.admin import pauses as pauses
from approvals.admin import plans as plans
from approvals.admin import related_records as related_records
from approvals.admin import request_record as request_record
from approvals.admin import triggers as triggers
