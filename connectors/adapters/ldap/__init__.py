"""Groups and accounts in a directory that speaks LDAP."""
