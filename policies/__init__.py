"""What policy says and who may decide: rules, tiers, roles, limits, authority."""
