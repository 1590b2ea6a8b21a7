"""A task of Inspect: ``inspect eval inspect_task.py``; its prompt is in the variable TASK."""

import os

from inspect_ai import Task, task
from inspect_ai.agent import react
from inspect_ai.dataset import Sample
from inspect_ai.tool import bash


@task
def write() -> Task:
    return Task(dataset=[Sample(input=os.environ["TASK"], target="x")], solver=react(tools=[bash()]), sandbox="local")
