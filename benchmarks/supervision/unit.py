"""One unit of work: one seed with one base model, played, reviewed, trained and tested in this order.

Everything in the result is a function of the knobs and the seed. What is done is not done again (``unit_steps``).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import structs

from benchmarks.supervision import rollouts
from benchmarks.supervision.annotator import LABEL
from benchmarks.supervision.arms import ARMS, RANDOM, SWEPT, UNTRAINED, Arm, arm
from benchmarks.supervision.chain import Clues, World
from benchmarks.supervision.episodes import FIRST, Score, actions_of, judge
from benchmarks.supervision.forward import load
from benchmarks.supervision.knobs import Annotator
from benchmarks.supervision.results import ArmResult, Cost, Point, Result, Rollout, Spec
from benchmarks.supervision.review import flag_at_random, flag_what_is_wrong
from benchmarks.supervision.rollouts import Cast, Desk, Played
from benchmarks.supervision.serve import EXPERT
from benchmarks.supervision.training import NothingToTrain, TrainedOn, train
from benchmarks.supervision.unit_steps import Steps
from benchmarks.supervision.vocabulary import Words

SHARE_ARMS: Final = ("raw", "successes", "raw-masked", "advice-dropped-masked")
"""What the sweep of systematic errors trains for each share."""


class Unit:
    """The work of one unit, once server and desk are there."""

    def __init__(self, spec: Spec, at: Desk, url: str) -> None:
        self.spec, self.at, self.url = spec, at, url
        self.folder = Path(spec.folder)
        self.world = World(spec.shape, spec.seed)
        self.steps = Steps(self.folder / "steps")
        self.flags: dict[tuple[str, str], int] = {}
        """Flags by rollouts and label."""

    async def run(self) -> Result:
        """Everything, in order."""
        share = self.spec.share is not None
        names = SHARE_ARMS if share else tuple(each.name for each in ARMS)
        sets = {"raw": await self.play("raw"), "advised": await self.play("advised", self.spec.annotator)}
        if not share:
            sets["oracle"] = await self.play("oracle")
        await self.review(sets, LABEL, self.spec.annotator)
        if not share:
            number = self.flags["raw", LABEL]
            await flag_at_random(self.at, sets["raw"], RANDOM, number, self.spec.seed)
        arms = [await self.arm(UNTRAINED, None, [], Cost())]
        for name in names:
            made = arm(name)
            arms.append(await self.arm(name, made, sets[made.rollouts], self._cost(made, sets[made.rollouts])))
        rollouts = {name: self._about(name, rollouts) for name, rollouts in sets.items()}
        points = await self.sweeps(sets) if self.spec.sweep else []
        return Result(self.spec.seed, self.spec.base.systematic_share, arms, rollouts, points)

    async def play(self, tag: str, annotator: Annotator | None = None) -> list[Played]:
        """Training rollouts of one kind, tagged with its name."""
        cast = Cast(EXPERT if tag == "oracle" else "base", self.url, tag)

        async def make() -> list[Played]:
            with self._timed(f"{tag} played"):
                return await rollouts.play(
                    self.at, self.world, cast, range(self.spec.size.episodes), self.folder / "tasks", annotator
                )

        return await self.steps.once(f"played-{tag}", list[Played], make)

    async def review(self, sets: dict[str, list[Played]], label: str, annotator: Annotator) -> None:
        """Let the annotator flag what looks wrong to it in these sessions."""
        for name, sessions in sets.items():
            if name != "oracle":
                count = await flag_what_is_wrong(self.at, self.world, sessions, label, annotator)
                self.flags[name, label] = count

    async def arm(self, name: str, made: Arm | None, rollouts: Sequence[Played], cost: Cost) -> ArmResult:
        """Train an arm on these sessions (None: the base as it is), and test it."""

        async def make() -> ArmResult:
            with self._timed(name):
                on = None if made is None else await self._trained(name, made, rollouts)
                # What the policy leaves nothing of (no run succeeded, say) stays the untrained model.
                tested = await self._tested("base" if on is None else name)
                return ArmResult(made.name if made else name, *tested, cost, on, self.spec.size.tests_in_host)

        return await self.steps.once(f"arm-{name}", ArmResult, make)

    async def _trained(self, name: str, made: Arm, rollouts: Sequence[Played]) -> TrainedOn | None:
        out, base = self.folder / "arms" / name, self.folder / "models" / "base"
        sessions = [each.session for each in rollouts]
        try:
            on = await asyncio.to_thread(train, self.at.reader, sessions, made, base, out, self.spec.train)
        except NothingToTrain:
            return None
        link = self.folder / "models" / name
        link.unlink(missing_ok=True)
        link.symlink_to((out / "model").resolve())
        return on

    async def _tested(self, model: str) -> tuple[Score, Score, Score]:
        """Test a model without advice: sampled, greedy, and sampled with held-out clues; some in the host too."""
        size = self.spec.size
        chances = load(self.folder / "models" / model, Words(self.spec.shape).calls)
        scores = []
        kinds: tuple[tuple[float, Clues], ...] = ((1.0, "known"), (0.0, "known"), (1.0, "one held out"))
        for temperature, clues in kinds:
            episodes = range(FIRST, FIRST + (size.tests if clues == "known" else size.tests_held_out))
            actions = [actions_of(chances, self.world, episode, temperature, clues) for episode in episodes]
            scores.append(judge(self.world, episodes, actions, clues))
            if temperature:
                await self._same_in_host(Cast(model, self.url, f"test {model}", temperature, clues), episodes, actions)
        sampled, greedy, held_out = scores
        return sampled, greedy, held_out

    async def _same_in_host(self, cast: Cast, episodes: Sequence[int], actions: Sequence[Sequence[str]]) -> None:
        some = list(episodes)[: self.spec.size.tests_in_host]
        done = await rollouts.play(self.at, self.world, cast, some, self.folder / "tasks")
        for here, there in zip(actions, done, strict=False):
            if list(here) != [seen.action for seen in there.steps]:
                raise RuntimeError(f"test episode {there.episode} of {cast.model} went another way in the host")

    async def sweeps(self, sets: dict[str, list[Played]]) -> list[Point]:
        """One knob of the annotator at a time, all else as it is."""
        usual, swept = self.spec.annotator, self.spec.size.sweeps
        points: list[Point] = []
        reviews = [("recall", value) for value in swept.recall]
        reviews += [("false_positives", value) for value in swept.false_positives]
        for knob, value in reviews:
            label = f"sweep/{knob}-{value}"
            await self.review(sets, label, structs.replace(usual, **{knob: value}))
            for name in SWEPT:
                made = arm(name, label)
                points.append(await self._point(knob, str(value), f"{name}-", made, sets[made.rollouts]))
        lives = [("delay", f"{low}-{high}", structs.replace(usual, delay=(low, high))) for low, high in swept.delay]
        lives += [("look_rate", str(rate), structs.replace(usual, look_rate=rate)) for rate in swept.look_rate]
        for knob, shown, annotator in lives:
            tag = f"{knob}-{shown}"
            rollouts = await self.play(tag, annotator)
            await self.review({tag: rollouts}, LABEL, usual)
            points.append(await self._point(knob, shown, "", arm("advice-dropped-masked"), rollouts, tag))
        return points

    async def _point(
        self, knob: str, value: str, before: str, made: Arm, rollouts: Sequence[Played], tag: str = ""
    ) -> Point:
        cost = self._cost(made, rollouts, tag)
        return Point(knob, value, await self.arm(f"{before}{knob}-{value}", made, rollouts, cost))

    def _cost(self, made: Arm, rollouts: Sequence[Played], tag: str = "") -> Cost:
        """What the annotator did for the sessions (tagged ``tag``) that the arm trains on."""
        return Cost(
            sum(each.advice for each in rollouts) if made.rollouts == "advised" else 0,
            self.flags[tag or made.rollouts, made.masks] if made.masks not in ("", RANDOM) else 0,
        )

    def _about(self, name: str, rollouts: Sequence[Played]) -> Rollout:
        steps = [[seen.action for seen in each.steps] for each in rollouts]
        made = judge(self.world, [each.episode for each in rollouts], steps)
        return Rollout(
            len(rollouts), sum(map(len, steps)), made.right, made.success, sum(each.advice for each in rollouts),
            self.flags.get((name, LABEL), 0),
        )  # fmt: skip

    def _timed(self, what: str) -> Timed:
        return Timed(f"seed {self.spec.seed}: {what}")


class Timed:
    """Tells on stderr how long something took."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        print(f"{self._what}, {time.monotonic() - self._began:.1f} s", file=sys.stderr, flush=True)
