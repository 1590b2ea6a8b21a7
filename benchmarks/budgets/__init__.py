"""The budgets that the app is held to, measured as ratios in one run (docs/budgets.md)."""
