"""From the log to training data: policy, masks, samples and formats (light; the app may import them).

It reads the log and imports nothing of the screen. Trainers live in a subpackage of their own, which nothing imports.
"""
