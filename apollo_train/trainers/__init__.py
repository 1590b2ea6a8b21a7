"""Trainers: from a log and a policy to a model, by TRL. Nothing else imports them; they live in their own environment.

``settings`` (what is chosen), ``data`` (rows on disk, written once), ``models`` (what is trained), ``run`` (one run
from start or checkpoint to saved model), ``record`` (what exactly was done); ``sft``, ``dpo`` and ``kto`` differ in
their rows and their trainer only.
"""
