"""Systems that are one reviewed file: JSON over HTTP, with CEL for everything that is computed."""
