"""Tools of other MCP servers behind approval: drafted, published, called once, read back."""
