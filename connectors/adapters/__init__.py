"""One folder per outside system, each with the same three files: client, actions, connector."""
