"""E-mail to customers: SMTP out, the mail archive to read back."""
