"""Members, policies and access keys in AWS IAM."""
