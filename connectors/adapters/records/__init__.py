"""The company's CRM and order records, in a SQL database of their own."""
