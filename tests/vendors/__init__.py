"""The vendors' systems that are files of the product, each against a double that is strict."""
