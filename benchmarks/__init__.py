"""Measurements: performance as ratios to a control in the same run, and how well the product does its job."""
