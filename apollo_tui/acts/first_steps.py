"""The demo, begun from the app; and what an empty board has to know to offer only what can work."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import apollo_tui
from apollo_tui.acts.agents import agent_names
from apollo_tui.acts.model_check import say_missing
from apollo_tui.backend.feed import Feed
from apollo_tui.state.first_steps import Surroundings
from sessions.config import Config
from sessions.ulid import new_ulid

GUIDES: Final = ("guide.md", "../docs/annotator.md")
"""Where the guide lies beside the app: as it is installed, and in a folder of its source."""


async def begin_demo(feed: Feed) -> str:
    """Create and start the five demo sessions; returns what to say. Raises NotDone."""
    from sessions.demo.requests import demo_sessions

    made = await asyncio.to_thread(demo_sessions, pace=1.0, request_id=new_ulid)
    for params in made:
        await feed.call(params)
    return f"{len(made)} demo sessions run, their models are scripted: enter opens one, i advises it"


def look_around(config: Config) -> Surroundings:
    """What is there on this machine; the rest is known to the app. Looks for programs: not for the app's own thread."""
    return Surroundings(missing=say_missing(config, os.environ), agents=agent_names(), guide=find_guide() is not None)


def find_guide() -> Path | None:
    """The file of the guide, None where it was not installed."""
    folder = Path(apollo_tui.__file__).parent
    return next((path for place in GUIDES if (path := folder / place).is_file()), None)
