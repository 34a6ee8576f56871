"""This process among the others: its life, what it tells them, and what it does for dead ones."""
