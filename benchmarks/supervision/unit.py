"""One unit of work: one seed with one base model, from an empty folder to ``result.json``.

Rollouts are played in a host of its own on a log of its own, reviewed through the socket, exported and trained by the
product, and tested without advice. Everything in the result is a function of the knobs and the seed.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.supervision import playing
from benchmarks.supervision.annotator import LABEL
from benchmarks.supervision.arms import ARMS, RANDOM, SWEPT, UNTRAINED, Arm, arm
from benchmarks.supervision.chain import Shape, World, plain
from benchmarks.supervision.knobs import Annotator, Base, Size, Train
from benchmarks.supervision.playing import Cast, Desk, Played
from benchmarks.supervision.reviewing import flag_at_random, flag_what_is_wrong
from benchmarks.supervision.testing import FIRST, Score, actions_of, judge
from benchmarks.supervision.training import NothingToTrain, TrainedOn, train
from sessions.host import protocol
from sessions.host.client import call_once, wait_stopped
from sessions.log.reader import LogReader
from sessions.paths import LogPaths, log_paths

SHARE_ARMS: Final = ("raw", "successes", "raw-masked", "advice-dropped-masked")
"""What the sweep of systematic errors trains for each share."""


class Spec(msgspec.Struct, frozen=True):
    """What to do. ``sweep``: also the sweeps of the annotator; ``share``: a point of the sweep of systematic errors."""

    folder: str
    seed: int
    size: Size
    shape: Shape
    base: Base
    annotator: Annotator
    train: Train
    sweep: bool = False
    share: float | None = None


class Cost(msgspec.Struct, frozen=True):
    """What the annotator did for an arm's training set."""

    advice: int = 0
    flags: int = 0


class ArmResult(msgspec.Struct, frozen=True):
    """One arm of one seed; ``sampled`` at temperature 1."""

    arm: str
    sampled: Score
    greedy: Score
    cost: Cost = Cost()
    trained_on: TrainedOn | None = None
    in_host: int = 0
    """Test episodes that were also played in the host, with the same actions."""


class Point(msgspec.Struct, frozen=True):
    """A point of a sweep: one knob at one value."""

    knob: str
    value: str
    result: ArmResult


class Rollout(msgspec.Struct, frozen=True):
    """What the training sessions of one kind were like."""

    episodes: int
    steps: int
    right: float
    success: float
    advice: int
    flags: int = 0


class Result(msgspec.Struct, frozen=True):
    """All of a unit."""

    seed: int
    share: float
    arms: list[ArmResult]
    rollouts: dict[str, Rollout]
    points: list[Point] = []


class Unit:
    """The work of one unit, once server and desk are there."""

    def __init__(self, spec: Spec, at: Desk, url: str) -> None:
        self.spec, self.at, self.url = spec, at, url
        self.folder = Path(spec.folder)
        self.world = World(spec.shape, spec.seed)
        self.flags: dict[tuple[str, str], int] = {}
        """Flags by rollouts and label."""
        self._began = time.monotonic()

    def tell(self, what: str) -> None:
        """A line of how long the last part took."""
        now = time.monotonic()
        print(f"seed {self.spec.seed}: {what}, {now - self._began:.1f} s", file=sys.stderr, flush=True)
        self._began = now

    async def run(self) -> Result:
        """Everything, in order."""
        share = self.spec.share is not None
        names = SHARE_ARMS if share else tuple(each.name for each in ARMS)
        sets = {"raw": await self.play("raw"), "advised": await self.play("advised")}
        if not share:
            sets["oracle"] = await self.play("oracle")
        await self.review(sets, LABEL, self.spec.annotator)
        if not share:
            number = self.flags["raw", LABEL]
            await flag_at_random(self.at, sets["raw"], RANDOM, number, self.spec.seed)
        arms = [await self.test(UNTRAINED, None, None, Cost())]
        for name in names:
            arms.append(await self.arm(arm(name), sets[arm(name).rollouts]))
        rollouts = {name: self._about(name, rollouts) for name, rollouts in sets.items()}
        points = await self.sweeps(sets) if self.spec.sweep else []
        return Result(self.spec.seed, self.spec.base.systematic_share, arms, rollouts, points)

    async def play(self, tag: str, annotator: Annotator | None = None) -> list[Played]:
        """Training rollouts of one kind, tagged with its name."""
        if tag == "advised":
            annotator = self.spec.annotator
        cast = Cast("oracle" if tag == "oracle" else "base", self.url, tag)
        return await playing.play(
            self.at, self.world, cast, range(self.spec.size.episodes), self.folder / "tasks", annotator
        )

    async def review(self, sets: dict[str, list[Played]], label: str, annotator: Annotator) -> None:
        """Let the annotator flag what looks wrong to it in these sessions."""
        for name, rollouts in sets.items():
            if name != "oracle":
                count = await flag_what_is_wrong(self.at, self.world, rollouts, label, annotator)
                self.flags[name, label] = count

    async def arm(self, made: Arm, rollouts: Sequence[Played], name: str = "", kind: str = "") -> ArmResult:
        """Train an arm on these sessions, and test it."""
        name = name or made.name
        cost = Cost(
            sum(each.advice for each in rollouts) if made.rollouts == "advised" else 0,
            self.flags[kind or made.rollouts, made.masks] if made.masks not in ("", RANDOM) else 0,
        )
        self.tell(f"ready to train {name}")
        out = self.folder / "arms" / name
        sessions = [each.session for each in rollouts]
        base = self.folder / "models" / "base"
        try:
            on = await asyncio.to_thread(train, self.at.reader, sessions, made, base, out, self.spec.train)
        except NothingToTrain:
            # What the policy leaves nothing of (no run succeeded, say) stays the untrained model.
            return msgspec.structs.replace(await self.test(UNTRAINED, None, None, cost), arm=made.name)
        (self.folder / "models" / name).symlink_to((out / "model").resolve())
        self.tell(f"{name} trained")
        return await self.test(name, made.name, on, cost)

    async def test(self, name: str, called: str | None, on: TrainedOn | None, cost: Cost) -> ArmResult:
        """Test a model without advice; some episodes in the host too, where it must do the same."""
        from benchmarks.supervision.tiny import load

        size, model = self.spec.size, "base" if name == UNTRAINED else name
        chances = load(self.folder / "models" / model)
        episodes = range(FIRST, FIRST + size.tests)
        tested = []
        for temperature in (1.0, 0.0):
            actions = [actions_of(chances, self.world, episode, temperature) for episode in episodes]
            tested.append(judge(self.world, episodes, actions))
            if temperature:
                self.tell(f"{name} tested")
                await self._same_in_host(model, episodes, actions)
        return ArmResult(called or name, tested[0], tested[1], cost, on, size.tests_in_host)

    async def _same_in_host(self, model: str, episodes: Sequence[int], actions: Sequence[Sequence[str]]) -> None:
        some = list(episodes)[: self.spec.size.tests_in_host]
        cast = Cast(model, self.url, f"test {model}")
        done = await playing.play(self.at, self.world, cast, some, self.folder / "tasks")
        for here, there in zip(actions, done, strict=False):
            if list(here) != [seen.action for seen in there.steps]:
                raise RuntimeError(f"test episode {there.episode} of {model} went another way in the host")

    async def sweeps(self, sets: dict[str, list[Played]]) -> list[Point]:
        """One knob of the annotator at a time, all else as it is."""
        usual, swept = self.spec.annotator, self.spec.size.sweeps
        points: list[Point] = []
        reviews = [("recall", value) for value in swept.recall]
        reviews += [("false_positives", value) for value in swept.false_positives]
        for knob, value in reviews:
            label = f"sweep/{knob}-{value}"
            await self.review(sets, label, msgspec.structs.replace(usual, **{knob: value}))
            for name in SWEPT:
                points.append(await self._point(knob, str(value), arm(name), label, sets[arm(name).rollouts]))
        lives: list[tuple[str, str, Annotator]] = []
        for low, high in swept.delay:
            lives.append(("delay", f"{low}-{high}", msgspec.structs.replace(usual, delay=(low, high))))
        for rate in swept.look_rate:
            lives.append(("look_rate", str(rate), msgspec.structs.replace(usual, look_rate=rate)))
        for knob, shown, annotator in lives:
            tag = f"{knob}-{shown}"
            rollouts = await self.play(tag, annotator)
            await self.review({tag: rollouts}, LABEL, usual)
            result = await self.arm(arm("advice-dropped-masked"), rollouts, name=tag, kind=tag)
            points.append(Point(knob, shown, result))
        return points

    async def _point(self, knob: str, value: str, made: Arm, label: str, rollouts: Sequence[Played]) -> Point:
        swept = replace(made, masks=label)
        return Point(knob, value, await self.arm(swept, rollouts, name=f"{made.name}-{knob}-{value}"))

    def _about(self, name: str, rollouts: Sequence[Played]) -> Rollout:
        steps = [[seen.action for seen in each.steps] for each in rollouts]
        made = judge(self.world, [each.episode for each in rollouts], steps)
        return Rollout(
            len(rollouts), sum(map(len, steps)), made.right, made.success, sum(each.advice for each in rollouts),
            self.flags.get((name, LABEL), 0),
        )  # fmt: skip


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The models of the unit, served by a process of their own; gives the address."""
    command = [sys.executable, "-m", "benchmarks.supervision.serve", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError("the model server did not start")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def stopped_after(paths: LogPaths) -> Iterator[None]:
    """Stop the host of the unit at the end, whatever happens."""
    try:
        yield
    finally:
        if paths.lock.exists():
            call_once(paths, protocol.StopHost(by="benchmark", at_boundary=False), actor=playing.ACTOR, start=False)
            wait_stopped(paths)


def run(spec: Spec) -> Result:
    """Do the unit in its folder, which is made anew."""
    from benchmarks.supervision.tiny import make_base

    folder = Path(spec.folder)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tasks").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "run.json").write_text(json.dumps({"shape": plain(spec.shape), "world": spec.seed}))
    make_base(World(spec.shape, spec.seed), spec.base, folder / "models" / "base")
    paths = log_paths(folder / "apollo.db")
    paths.prepare()

    async def inside(url: str) -> Result:
        async with playing.desk(paths) as at:
            return await Unit(spec, at, url).run()

    with server(folder) as url, stopped_after(paths):
        result = asyncio.run(inside(url))
    with LogReader(paths.log) as reader:
        print(f"seed {spec.seed}: {len(reader.summaries())} sessions, {reader.position():,} events", file=sys.stderr)
    return result


def main() -> None:
    """Do the units that the spec files name, one after the other; each result lies beside its spec."""
    # Ended by its parent, it still stops its own host and server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for file in map(Path, sys.argv[1:]):
        result = run(msgspec.json.decode(file.read_bytes(), type=Spec))
        part = file.with_name("result.part")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
        part.replace(file.with_name("result.json"))


if __name__ == "__main__":
    main()
