"""Comparisons of prompts, models and parameters over cases, with checks and statistics."""
