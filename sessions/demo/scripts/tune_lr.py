"""Impatience: it kills a healthy training run, again and again, until somebody tells it to wait."""

from __future__ import annotations

from sessions.demo.script import Feedback, Script, call, say

RATES = ("3e-3", "1e-2", "3e-2", "1e-3", "5e-3")


def tune_lr() -> Script:
    """Train a classifier; the only hard part is to let it train."""
    seen = yield say(
        "I will look at what is here first.",
        call("plan", items=[
            {"text": "Read the training script", "status": "doing"},
            {"text": "Train with a sensible learning rate", "status": "todo"},
            {"text": "Evaluate, then finish", "status": "todo"},
        ]),
        call("read_file", path="train.py"),
        why="The task is to reach a good held-out accuracy. I read the script before I run it.",
    )  # fmt: skip
    advised = bool(seen.advice)
    job: int | None = None
    rate = RATES[0]
    for attempt, tried in enumerate(RATES):
        if advised:
            break
        rate = tried
        seen = yield say(
            f"Training with a learning rate of {rate}.",
            call("run", command=f"python3 train.py --lr {rate}", timeout=6),
            why="A run takes a while. I will start it and look at the loss."
            if attempt == 0
            else "The last run was too slow. Perhaps another learning rate is faster.",
        )
        job, advised = seen.job or job, advised or bool(seen.advice)
        for look in range(2):
            if advised:
                break
            seen = yield say(
                "How is the loss doing?" if look == 0 else "Once more.",
                call("job_output", job=job or 1, lines=5),
                why="I want to see progress now." if look == 0 else "It moved, but not by much.",
            )
            advised = bool(seen.advice)
        if advised:
            break
        seen = yield say(
            "The loss is still high, so I will restart with another learning rate.",
            call("job_kill", job=job or 1),
            why="I have waited long enough. Killing it now saves time.",
        )
        advised, job = bool(seen.advice), None
    if advised:
        yield from _patient(job, rate)
    else:
        yield from _give_up()


def _patient(job: int | None, rate: str) -> Script:
    """Let ``job`` run to its end, which trains with ``rate``; without a job, one is started."""
    if job is None:
        rate = RATES[0]
        seen = yield say(
            "Understood: I will train once, with the rate that looked steady, and let it run to the end.",
            call("run", command=f"python3 train.py --lr {rate}", background=True),
            why="The advice says to let it run. A run that is killed tells nothing; I have to wait for one.",
        )
        job = seen.job or 1
    seen = yield say(
        "Understood. The loss is falling, so I wait for the job to end before I judge it.",
        call("wait", job=job),
        why="A falling loss is a healthy run. Waiting costs nothing.",
    )
    while "still running" in seen.result:
        seen = yield say("It is still running; I keep waiting.", call("wait", job=job))
    yield say("It has ended. Let me see how it finished.", call("job_output", job=job, lines=5))
    yield from _score(f"Trained to the end with a learning rate of {rate}, after advice to wait for the run.")


def _give_up() -> Script:
    seen = yield say(
        "No learning rate seems to work. I will take the last checkpoint.",
        call("run", command="ls -la model.json; python3 train.py --lr 1e-3 --steps 20", timeout=30),
        why="Every run was too slow. A short run is better than none.",
    )
    if seen.advice:
        yield from _patient(None, RATES[0])
        return
    yield from _score("Only a short run finished.")


def _score(summary: str) -> Script:
    seen: Feedback = yield say("Now the held-out score.", call("evaluate"))
    yield say(f"The scorer says: {seen.result.strip().splitlines()[-1] if seen.result.strip() else 'nothing'}",
              call("plan", items=[
                  {"text": "Read the training script", "status": "done"},
                  {"text": "Train with a sensible learning rate", "status": "done"},
                  {"text": "Evaluate, then finish", "status": "done"},
              ]))  # fmt: skip
    yield say("Done.", call("finish", summary=summary))
