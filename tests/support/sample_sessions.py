"""Sessions for tests of targets and trainers: one in which most things happen, and random ones."""

from __future__ import annotations

import json
import random
from pathlib import Path

from training_log import SESSION, Teller, new_log

from sessions import events as ev

STORY_STEPS = {
    1: "text and call",
    2: "call",
    3: "flagged",
    4: "after advice",
    5: "two calls, one flagged",
    6: "no reasoning",
}
"""What the steps of ``story`` are; step 7 is text only."""


async def story(folder: Path) -> None:
    writer = await new_log(folder)
    told = await Teller(writer).begin()
    await told.act("ls", "a b", reasoning="Look first.", text="I look.")
    await told.act("cat a", "xx", reasoning="Read it.")
    await told.act("kill 7", "dead", reasoning="Too slow.")
    await told.flag(ev.Target(3), label="x/impatience")
    await told.advise("Wait longer next time.", "strategy")
    await told.act("make", "ok", reasoning="Now build.")
    await told.reply(("run", '{"command":"a"}'), ("run", '{"command":"b"}'), reasoning="Two.", text="Both.")
    await told.result(1)
    await told.result(2)
    await told.flag(ev.Target(5, "call", 1))
    await told.act("ls -l", "ok")
    await told.reply(text="All is done.", reasoning="Finish.")
    await writer.close()


async def random_story(folder: Path, seed: int, *, calls: int = 2, talk: bool = False, steps: int = 9) -> None:
    """``calls``: at most so many in a reply; ``talk``: replies of text only, as a chat without tools."""
    rng = random.Random(seed)
    words = ["ls", "make test", "cat ümlaut.txt", "echo '<b>'", "sleep 5", "git log", "日本", "a\nb"]
    writer = await new_log(folder)
    told = await Teller(writer, session=f"{SESSION[:-4]}{seed:04d}").begin(rng.choice(["Make it learn.", "Fix it.\n"]))
    for _ in range(steps):
        if rng.random() < 0.25:
            await told.advise(rng.choice(["Wait.", "Look at the log, then decide."]), "strategy")
        if rng.random() < 0.1 and told.step > 2:
            await told.summarise()
        more = {"reasoning": rng.choice(words) if rng.random() < 0.7 else "", "text": rng.choice([*words, "", ""])}
        if talk:
            await told.reply(**{**more, "text": more["text"] or "Hm."})
            await told.advise("Go on.", None)
            continue
        number = rng.randint(1, calls)
        await told.reply(*[("run", json.dumps({"command": rng.choice(words)})) for _ in range(number)], **more)
        for call in range(1, number + 1):
            await told.result(call, rng.choice(["ok", "", "line\nline\n", "<tool_response>"]))
        if rng.random() < 0.3:
            part = rng.choice(["reply", "call", "reasoning"])
            await told.flag(ev.Target(told.step, part, rng.randint(1, number) if part == "call" else None))
    await writer.close()
