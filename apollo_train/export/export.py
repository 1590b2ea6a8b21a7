"""From a selection of sessions to a file, its twin and its manifest; and what that would be, before it is written.

Same log position and same policy: same bytes. Nothing is written under its own name before all of it is on disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from apollo_train.export.counts import Counts
from apollo_train.export.message_page import message_page
from apollo_train.export.report import ExportReport, Plan, Progress, Teller, manifest_of, nothing_left, version
from apollo_train.export.workers import Made, Making, Workers, counts_before, made_here, workers_for
from apollo_train.formats import format_named
from apollo_train.formats.base import Format, Line
from apollo_train.formats.conformance import note_of
from apollo_train.masks.annotations import Annotations
from apollo_train.masks.reply_masks import mask_replies
from apollo_train.masks.unused_labels import unused_labels
from apollo_train.output_files import Journal, Mark, NewFile, NewFiles, journal_of
from apollo_train.policy import FilterPolicy
from apollo_train.runtime import CannotExpress, NothingToExport
from apollo_train.samples import token_counts as tokens
from apollo_train.samples.rows import Copies, Weigher, task_of
from apollo_train.samples.select import LeftOut, names_of, position_of, select
from apollo_train.samples.steps import Source
from apollo_train.templates.token_check import NOT_CHECKED, check_tokens
from apollo_train.templates.tokenise_sample import Renderer
from sessions.events.text import canonical_json
from sessions.log.reader import LogReader


def plan_export(
    reader: LogReader,
    sessions: Sequence[str] | None,
    policy: FilterPolicy,
    format: str | Format = "steps",
    *,
    position: int | None = None,
) -> Plan:
    """Count what an export of these sessions (None: all) would hold, without reading a single prompt.

    Raises UnknownFormat, or CannotExpress where the format cannot say what the policy asks for.
    """
    made = able(format_named(format), policy)
    at = position_of(reader, position)
    plan = Plan(made.name, policy, at, Counts(), {}, {}, note_of(made.name, made.template))
    for chosen in select(reader, sessions, None if made.unit == "event" else policy, at):
        if isinstance(chosen, LeftOut):
            plan.left_out[chosen.session] = chosen.reason
            plan.counts.left_out[chosen.reason] = plan.counts.left_out.get(chosen.reason, 0) + 1
            continue
        counts = plan.per_session[chosen.session] = _counted(reader, chosen, policy, made)
        plan.counts.add(counts)
    if made.unit != "event":
        plan.unused = unused_labels(reader, plan.per_session, policy, at)
    return plan


def able(made: Format, policy: FilterPolicy) -> Format:
    """The format, if it can express the policy. Raises CannotExpress, naming one that can."""
    refusal = made.refusal(policy)
    if not refusal and policy.weights.apply == "refuse" and weights_differ(policy) and not made.weighs:
        refusal = (
            f"rows of {made.name} weigh differently by this policy, and its trainers ignore weights: say "
            "weights.apply = 'resample' to write rows as often as they weigh, or take llamafactory-v1"
        )
    if refusal:
        raise CannotExpress(refusal)
    return made


def weights_differ(policy: FilterPolicy) -> bool:
    """Whether rows can have other weights than 1."""
    return Weigher(policy).counted or "both" in policy.advice.modes


def run_export(
    reader: LogReader,
    sessions: Sequence[str] | None,
    policy: FilterPolicy,
    format: str | Format,
    out: Path,
    *,
    overwrite: bool = False,
    position: int | None = None,
    progress: Progress | None = None,
    resume: bool = False,
    counter: Renderer | None = None,
    workers: int | None = 1,
) -> ExportReport:
    """Write ``out``, its twin, manifest and page (``out.preview.html``); ``resume`` goes on with one that was stopped.

    ``counter`` counts tokens, to be compared with what the servers counted. ``workers`` processes make the sessions
    (None: as many as pay), and the bytes are the same; a program that asks for more than one must be importable
    without doing anything, as multiprocessing's spawn wants it.

    Raises NothingToExport, FileInTheWay, WriteFailed, CannotExpress or UnknownFormat, one line each; no file is
    changed then.
    """
    made = able(format_named(format), policy)
    export = Export(reader, sessions, policy, made, out, position, progress, workers)
    export.counter = counter
    return export.run(overwrite=overwrite, resume=resume)


def paged(made: Format) -> bool:
    """Whether a page is written beside the file: of all that a policy rules, but of formats that write their own."""
    return made.unit != "event" and not made.own_report


class Export:
    """One export under way."""

    def __init__(
        self,
        reader: LogReader,
        sessions: Sequence[str] | None,
        policy: FilterPolicy,
        made: Format,
        out: Path,
        position: int | None,
        progress: Progress | None,
        workers: int | None,
    ) -> None:
        self.reader, self.sessions, self.policy, self.made, self.out = reader, sessions, policy, made, out
        self.ruled = made.unit != "event"
        self.position = position_of(reader, position)
        self._named = position is not None
        self.report = ExportReport(
            out,
            out.with_name(f"{out.name}.excluded.jsonl"),
            out.with_name(f"{out.name}.manifest.json"),
            made.name,
            f"{policy.name} {policy.digest[:12]}",
            self.position,
            Counts(),
            {},
            note=note_of(made.name, made.template),
            page=out.with_name(f"{out.name}.preview.html") if paged(made) else None,
        )
        self.counter: Renderer | None = None
        self._progress, self._workers = progress, workers
        self._told: list[Any] = []
        self._journal = journal_of(out)

    def run(self, *, overwrite: bool, resume: bool) -> ExportReport:
        """Write all files, or none."""
        report = self.report
        paths = [report.excluded, report.manifest, *([report.page] if report.page else []), self.out]
        if resume and not self._named:
            self._position_of_before()
        with NewFiles(paths, overwrite=overwrite, resume=True) as files, files.told():
            twin, manifest, *pages, data = files.files
            for whole in (manifest, *pages):
                whole.begin()
            journal = Journal(self._journal, self._key(), [twin, data])
            stopped = False
            try:
                marks = journal.begin(resume=resume)
                files.keep_if_stopped()
                self._write(data, twin, journal, marks)
                if not (report.counts.rows if not self.ruled else report.counts.trained):
                    problem = self.made.explanation()
                    raise NothingToExport(nothing_left(report.per_session, report.counts, self.made.name, problem))
                if self.ruled:
                    report.unused = unused_labels(self.reader, report.per_session, self.policy, self.position)
                report.checksum = data.checksum
                hashes = {"data": data.checksum, "excluded": twin.checksum}
                told = manifest_of(report, self.policy, self.made, hashes, self._checked())
                manifest.line(msgspec.json.format(canonical_json(told), indent=1))
                for page in pages:
                    page.line(self._page())
                files.put()
            except BaseException as problem:
                stopped = not isinstance(problem, Exception)
                raise
            finally:
                journal.close(keep=stopped)
        return report

    def _checked(self) -> dict[str, Any] | None:
        """How the tokenizer that was named counts what servers counted; None where there is none."""
        report = self.report
        if not paged(self.made):
            return None
        if self.counter is None:
            report.checked = (NOT_CHECKED,)
            return None
        trained = {session: counts.trained for session, counts in report.per_session.items()}
        check = check_tokens(self.reader, trained, self.policy, self.counter, self.position)
        report.checked = tuple(check.lines())
        return check.plain()

    def _page(self) -> bytes:
        report = self.report
        facts = [f"{report.format}, policy {report.policy}, log position {report.position:,}", *report.lines()]
        sessions = report.per_session
        return message_page(
            self.reader, sessions, self.policy, self.made, position=self.position, title=self.out.name, facts=facts
        )

    def _position_of_before(self) -> None:
        """Go on at the log position of the same export that was stopped, not at the log's end of now."""
        end = self.position
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            head = self._journal.read_bytes().split(b"\n")[0]
            self.position = int(msgspec.json.decode(head)["position"])
            if head.decode(errors="replace") != self._key():
                self.position = end  # of another export, whose rows begin anew
        self.report.position = self.position

    def _key(self) -> str:
        """What makes two exports the same: from where, by which rules, into what shape."""
        shape = {
            "name": self.made.name,
            "version": self.made.version,
            "settings": self.made.settings,
            "code": version(),
        }
        chosen = None if self.sessions is None else sorted(set(self.sessions))
        about = {"position": self.position, "policy": self.policy.digest, "format": shape, "sessions": chosen}
        return canonical_json(about).decode()

    def _write(self, data: NewFile, twin: NewFile, journal: Journal, marks: Sequence[Mark]) -> None:
        weigher, copies = self._weigher()
        for mark in marks:
            self._restore(mark, copies)
        done = {mark.session for mark in marks}
        names = [name for name in names_of(self.reader, self.sessions) if name not in done]
        counts = self.report.counts
        tell = Teller(self._progress, self._total(), counts.steps if self.ruled else counts.rows)
        making = Making(self.policy, self.made, self.position, weigher, self.sessions is not None)
        # How often a row is written hangs on all rows before it, so that one process has to write them all.
        workers = self._number(names) if copies is None else 1
        with contextlib.ExitStack() as stack:
            if workers > 1:
                pool = stack.enter_context(Workers(self.reader.path, making, self.out.parent, workers))
                sessions = pool.make(names, data, twin, tell.more)
            else:
                sessions = made_here(self.reader, making, names, data, twin, copies, tell)
            for made in sessions:
                self._take(made)
                journal.mark(made.session, _state(made, copies))
        for told in self._told:
            self.made.add_report(told)
        tell.end()

    def _number(self, names: Sequence[str]) -> int:
        """How many processes make the sessions."""
        if self._workers is not None or len(names) < 2:
            return min(self._workers or 1, len(names))
        if self.made.unit == "step" and not self.made.own_report:
            return 1  # each row repeats its prompt: time goes into writing, and processes would write all of it twice
        return workers_for(self._size(names), len(names), ruled=self.ruled)

    def _take(self, made: Made) -> None:
        """Count a session."""
        report = self.report
        if made.counts is None:
            report.left_out[made.session] = made.reason
            report.counts.left_out[made.reason] = report.counts.left_out.get(made.reason, 0) + 1
            return
        report.per_session[made.session] = made.counts
        report.counts.add(made.counts)
        if made.told is not None:
            self._told.append(made.told)

    def _restore(self, mark: Mark, copies: Copies | None) -> None:
        """Count a session that was written before."""
        if copies is not None:
            copies.owed = float(mark.state.get("owed", 0.0))
        counts = mark.state.get("counts")
        told = None if counts is None else msgspec.convert(counts, Counts)
        self._take(Made(mark.session, str(mark.state.get("reason", "")), told, mark.state.get("told")))

    def _weigher(self) -> tuple[Weigher, Copies | None]:
        """The weight of each row, and how often rows are written for it."""
        plain = Weigher(self.policy)
        if not self.ruled or not weights_differ(self.policy):
            return plain, None
        weigher, judged = plain, []
        if plain.counted:
            plan = plan_export(self.reader, self.sessions, self.policy, self.made, position=self.position)
            trained = {session: counts.trained for session, counts in plan.per_session.items()}
            judged = [
                one for one in select(self.reader, sorted(trained), None, self.position) if isinstance(one, Annotations)
            ]
            weigher = Weigher.counting(self.policy, trained, {one.session: task_of(one) for one in judged})
        if self.policy.weights.apply != "resample" or self.made.weighs:
            return weigher, None
        return weigher, Copies.of(self._weights(weigher, judged))

    def _weights(self, weigher: Weigher, judged: Sequence[Annotations]) -> list[float]:
        """The weights of the rows to come."""
        if weigher.counted and self.made.unit == "segment":
            # How many replies share a row, and so its weight, is known only once it is made.
            sources = (Source(self.reader, one, self.policy, weigher) for one in judged)
            return [line.weight for source in sources for line in self.made.lines(source) if isinstance(line, Line)]
        found = [1.0]
        if weigher.counted:
            found = [weigher.weight(one, 1.0) for one in judged for _ in range(weigher.session_trained[one.session])]
        return [*found, min(found) / 2] if found and "both" in self.policy.advice.modes else found

    def _total(self) -> int:
        """Roughly how much there is to do: replies, or events."""
        if self._progress is None:
            return 0
        return self._size(names_of(self.reader, self.sessions))

    def _size(self, names: Sequence[str]) -> int:
        kinds = ("model.reply", "model.interrupted") if self.ruled else None
        return sum(self.reader.count(name, kinds=kinds, up_to=self.position) for name in names)


def _state(made: Made, copies: Copies | None) -> dict[str, Any]:
    """What the journal says of a session."""
    state: dict[str, Any] = {"owed": copies.owed if copies else 0.0}
    if made.counts is None:
        return {**state, "reason": made.reason}
    return {**state, "counts": msgspec.to_builtins(made.counts), "told": made.told}


def _counted(reader: LogReader, judged: Annotations, policy: FilterPolicy, made: Format) -> Counts:
    """The counts of one session from its masks alone."""
    source = Source(reader, judged, policy, Weigher(policy), check=False)
    counts = counts_before(source, made)
    if made.unit == "event":
        counts.rows = reader.count(judged.session, up_to=judged.position)
        return counts
    if made.unit == "verdict":  # few rows: making them is the way to count them
        for item in made.lines(source):
            counts.take(item)
        made.take_report()  # the report is of what is written
        return counts
    for mask in mask_replies(reader, judged, policy):
        counts.calls_lost += mask.calls_lost
        if not mask.trained:
            counts.mask(mask.reason, mask)
            continue
        number = tokens.count(mask)
        line = Line(
            b"",
            trained=1,
            trained_tokens=number.reply,
            processed_tokens=number.prompt + number.reply if made.unit == "step" else 0,
            unseen_tokens=0 if mask.seen else number.reply,
            exact_tokens=number.exact,
            actions=mask.calls,
            rows=1 if made.unit == "step" else 0,
        )
        counts.take(line)
    return counts


__all__ = ["Counts", "Export", "ExportReport", "Plan", "Progress", "able", "plan_export", "run_export"]


def finished(path: Path, made: Format, policy: FilterPolicy, sessions: Sequence[str] | None) -> int | None:
    """The log position of the whole export at ``path``; None where there is none, or it is another than is asked for.

    By its manifest: format, its settings, policy, and the sessions where they are named.
    """
    if not path.exists() or journal_of(path).exists():
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = msgspec.json.decode(path.with_name(f"{path.name}.manifest.json").read_bytes())
        wrote = {*told["sessions"], *told["left_out"]}
        settings = {"settings": made.settings} if made.settings else {}
        same = told["format"] == {"name": made.name, "version": made.version, **settings}
        if same and told["policy_sha256"] == policy.digest and (sessions is None or wrote == set(sessions)):
            return int(told["position"])
    return None
