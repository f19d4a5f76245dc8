"""What is said about a document before it is in force: findings, comparisons, its own tests."""
