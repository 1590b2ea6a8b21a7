"""An agent of the OpenAI Agents SDK: ``python openai_agents_loop.py TASK``."""

import subprocess
import sys

from agents import Agent, Runner, function_tool


@function_tool
def shell(command: str) -> str:
    """Run a command."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    return f"{done.stdout}exit {done.returncode}"


agent = Agent(name="worker", instructions="You use the shell.", tools=[shell], model="m")
print(Runner.run_sync(agent, sys.argv[1], max_turns=30).final_output)
