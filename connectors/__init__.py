"""How Countersign talks to other systems: what can be done there, and doing exactly that."""
