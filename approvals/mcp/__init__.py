"""The MCP endpoint of agents: the same services as the API, a tool per action type."""
