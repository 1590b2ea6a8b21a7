"""An agent of smolagents, which writes code instead of calls: ``python smolagents_loop.py TASK``."""

import os
import sys

from smolagents import CodeAgent, OpenAIServerModel

model = OpenAIServerModel(model_id="m", api_base=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"])
agent = CodeAgent(tools=[], model=model, additional_authorized_imports=["os"], max_steps=30)
print(agent.run(sys.argv[1]))
