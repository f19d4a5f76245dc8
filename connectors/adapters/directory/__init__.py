"""Access rights in a directory that speaks SCIM 2.0 (RFC 7644)."""
