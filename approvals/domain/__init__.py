"""The steps use cases share. Called inside a service's transaction, on rows it has locked."""
