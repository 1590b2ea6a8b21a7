"""Does supervision pay? A small experiment in which every arm goes through the product. README.md says how."""
