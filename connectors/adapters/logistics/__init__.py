"""The logistics system: shipments between depots, robots in the warehouse."""
