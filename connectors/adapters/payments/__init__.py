"""Payments over the Stripe API: refunds to customers, payments to vendors and their reversal."""
