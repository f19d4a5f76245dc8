"""The pages of the lifecycle: inboxes to decide in, records to read. Importing registers them."""

from approvals.admin import inboxes as inboxes
