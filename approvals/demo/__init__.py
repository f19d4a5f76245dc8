"""The demo world: a fictitious retailer's people, agents and a day's worth of proposals."""
