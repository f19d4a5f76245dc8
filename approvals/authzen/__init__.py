"""AuthZEN: OpenID's API for asking whether something may be done, and for requesting it."""
