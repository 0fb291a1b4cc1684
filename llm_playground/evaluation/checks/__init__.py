"""Checks of answers: ``lp.checks.contains("refund")``, or any Python function."""
