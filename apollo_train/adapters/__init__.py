"""Files to hand to other trainers, so that they read our token rows: each stands alone in the trainer's environment."""
