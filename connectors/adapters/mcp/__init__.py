"""Tools of other MCP servers, behind approval: a worker calls what people approved, once."""
