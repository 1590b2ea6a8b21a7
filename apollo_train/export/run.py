"""From a selection of sessions to a file, its twin, its manifest and its page.

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
from apollo_train.export.near_prompts import NearPrompts, read_near_prompts
from apollo_train.export.open_questions import (
    are_models_asked,
    has_several_models,
    require_answer,
    require_models,
)
from apollo_train.export.plan import plan_export, require_expressible, weights_differ
from apollo_train.export.policy_notes import policy_notes
from apollo_train.export.report import (
    ExportReport,
    Progress,
    ProgressMeter,
    explain_nothing_left,
    manifest_of,
    version,
)
from apollo_train.export.session_writer import ExportRules, SessionResult, write_sessions
from apollo_train.export.terms import terms_by_session
from apollo_train.export.workers import Workers, workers_for
from apollo_train.formats import find_format
from apollo_train.formats.base import Format, Line
from apollo_train.formats.conformance import note_of
from apollo_train.masks.annotations import Annotations
from apollo_train.masks.unused_names import find_unused_names
from apollo_train.output_files import Journal, Mark, NewFile, NewFiles, journal_of
from apollo_train.policy import FilterPolicy
from apollo_train.runtime import NothingToExport
from apollo_train.samples.row_meta import task_of
from apollo_train.samples.session_selection import names_of, position_of, select
from apollo_train.samples.step_samples import Source
from apollo_train.samples.weights import Copies, Weigher
from apollo_train.templates.renderer import Renderer
from apollo_train.templates.token_check import NOT_CHECKED, check_tokens
from sessions.events.text import canonical_json
from sessions.log.reader import LogReader


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
    format = require_expressible(find_format(format), policy)
    require_answer(reader, sessions, policy, format, position)
    if are_models_asked(policy, format) and has_several_models(reader, sessions):
        plan = plan_export(reader, sessions, policy, format, position=position)  # rather now than when all is written
        require_models(plan.counts.trained_by_model, policy, format)
    export = Export(
        reader, sessions, policy, format, out, position=position, progress=progress, workers=workers, counter=counter
    )
    return export.run(overwrite=overwrite, resume=resume)


def has_page(format: Format) -> bool:
    """Whether a page is written beside the file: of all that a policy rules, but of formats that write their own."""
    return format.takes_policy and format.paged and not format.own_report


class Export:
    """One export under way. Its ``report`` fills while sessions are written."""

    def __init__(
        self,
        reader: LogReader,
        sessions: Sequence[str] | None,
        policy: FilterPolicy,
        format: Format,
        out: Path,
        *,
        position: int | None = None,
        progress: Progress | None = None,
        workers: int | None = 1,
        counter: Renderer | None = None,
    ) -> None:
        if sessions is not None:
            format, sessions = format.with_ancestors(reader, sessions)
        self.reader, self.sessions, self.policy, self.format, self.out = reader, sessions, policy, format, out
        self.position = position_of(reader, position)
        self.report = ExportReport(
            out,
            out.with_name(f"{out.name}.excluded.jsonl"),
            out.with_name(f"{out.name}.manifest.json"),
            format.name,
            f"{policy.name} {policy.digest[:12]}",
            self.position,
            Counts(),
            {},
            note=note_of(format.name, format.template),
            page=out.with_name(f"{out.name}.preview.html") if has_page(format) else None,
        )
        self._position_given = position is not None
        self._progress, self._workers, self._counter = progress, workers, counter
        self._session_reports: list[Any] = []
        """What a format with a report of its own gathered, by session."""
        self._journal = journal_of(out)

    def run(self, *, overwrite: bool, resume: bool) -> ExportReport:
        """Write all files, or none."""
        report = self.report
        paths = [report.excluded, report.manifest, *([report.page] if report.page else []), self.out]
        if resume and not self._position_given:
            self._adopt_stopped_position()
        with NewFiles(paths, overwrite=overwrite, resume=True) as files, files.explain_errors():
            twin, manifest, *pages, data = files.files
            for whole in (manifest, *pages):
                whole.begin()
            journal = Journal(self._journal, self._key(), [twin, data])
            stopped = False
            try:
                marks = journal.begin(resume=resume)
                files.keep_if_stopped()
                self._write(data, twin, journal, marks)
                self._require_rows()
                require_models(report.counts.trained_by_model, self.policy, self.format)
                if self.format.takes_policy:
                    report.notes = tuple(policy_notes(self.policy, report.counts))
                    report.unused = find_unused_names(
                        self.reader, report.per_session, self.policy, self.position, report.counts.trained_by_model
                    )
                    report.near_prompts = self._near_prompts()
                report.terms = terms_by_session(self.reader, report.per_session, self.position)
                report.checksum = data.checksum
                hashes = {"data": data.checksum, "excluded": twin.checksum}
                content = manifest_of(report, self.policy, self.format, hashes, self._check_tokens())
                manifest.line(msgspec.json.format(canonical_json(content), indent=1))
                for page in pages:
                    page.line(self._page())
                files.put()
            except BaseException as problem:
                stopped = not isinstance(problem, Exception)
                raise
            finally:
                journal.close(keep=stopped)
        return report

    def _require_rows(self) -> None:
        """Raises NothingToExport, which says why, if no row was written."""
        report = self.report
        if not (report.counts.trained if self.format.takes_policy else report.counts.rows):
            problem = self.format.explanation() or next(iter(report.counts.refusals), "")
            raise NothingToExport(explain_nothing_left(report.per_session, report.counts, self.format.name, problem))

    def _near_prompts(self) -> NearPrompts | None:
        """What is nearly the same on two sides of the split."""
        sessions = [name for name, counts in self.report.per_session.items() if counts.rows]
        return read_near_prompts(self.reader, sessions, self.policy, self.position)

    def _check_tokens(self) -> dict[str, Any] | None:
        """How the tokenizer that was named counts what servers counted; None where there is none."""
        report = self.report
        if not has_page(self.format):
            return None
        if self._counter is None:
            report.checked = (NOT_CHECKED,)
            return None
        trained = {session: counts.trained for session, counts in report.per_session.items()}
        check = check_tokens(self.reader, trained, self.policy, self._counter, self.position)
        report.checked = tuple(check.lines())
        return check.plain()

    def _page(self) -> bytes:
        report = self.report
        facts = [f"{report.format}, policy {report.policy}, log position {report.position:,}", *report.lines()]
        sessions = report.per_session
        return message_page(
            self.reader, sessions, self.policy, self.format, position=self.position, title=self.out.name, facts=facts
        )

    def _adopt_stopped_position(self) -> None:
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
        format = self.format
        shape = {"name": format.name, "version": format.version, "settings": format.settings, "code": version()}
        sessions = None if self.sessions is None else sorted(set(self.sessions))
        key = {"position": self.position, "policy": self.policy.digest, "format": shape, "sessions": sessions}
        return canonical_json(key).decode()

    def _write(self, data: NewFile, twin: NewFile, journal: Journal, marks: Sequence[Mark]) -> None:
        weigher, copies = self._weigher()
        for mark in marks:
            self._restore(mark, copies)
        done = {mark.session for mark in marks}
        names = [name for name in names_of(self.reader, self.sessions) if name not in done]
        counts = self.report.counts
        meter = ProgressMeter(self._progress, self._total(), counts.steps if self.format.takes_policy else counts.rows)
        rules = ExportRules(self.policy, self.format, self.position, weigher, named=self.sessions is not None)
        # How often a row is written hangs on all rows before it, so that one process has to write them all.
        workers = self._worker_count(names) if copies is None else 1
        with contextlib.ExitStack() as stack:
            if workers > 1:
                pool = stack.enter_context(Workers(self.reader.path, rules, self.out.parent, workers))
                results = pool.write(names, data, twin, meter.add)
            else:
                results = write_sessions(self.reader, rules, names, data, twin, copies, meter)
            for result in results:
                self._count(result)
                journal.mark(result.session, _journal_state(result, copies))
        for session_report in self._session_reports:
            self.format.add_report(session_report)
        meter.end()

    def _worker_count(self, names: Sequence[str]) -> int:
        """How many processes make the sessions."""
        if self._workers is not None or len(names) < 2:
            return min(self._workers or 1, len(names))
        if self.format.unit == "step" and not self.format.own_report:
            return 1  # each row repeats its prompt: time goes into writing, and processes would write all of it twice
        return workers_for(self._size(names), len(names), replies=self.format.takes_policy)

    def _count(self, result: SessionResult) -> None:
        """Count a session."""
        report = self.report
        if result.counts is None:
            report.left_out[result.session] = result.reason
            report.counts.leave_out(result.reason)
            return
        report.per_session[result.session] = result.counts
        report.counts.add(result.counts)
        if result.report is not None:
            self._session_reports.append(result.report)

    def _restore(self, mark: Mark, copies: Copies | None) -> None:
        """Count a session that was written before."""
        state = mark.state
        if copies is not None:
            copies.owed = float(state.get("owed", 0.0))
        counts = None if state.get("counts") is None else msgspec.convert(state["counts"], Counts)
        self._count(SessionResult(mark.session, str(state.get("reason", "")), counts, state.get("told")))

    def _weigher(self) -> tuple[Weigher, Copies | None]:
        """The weight of each row, and how often rows are written for it."""
        weigher = Weigher(self.policy)
        if not self.format.takes_policy or not weights_differ(self.policy):
            return weigher, None
        judged: list[Annotations] = []
        if weigher.needs_counts:
            plan = plan_export(self.reader, self.sessions, self.policy, self.format, position=self.position)
            trained = {session: counts.trained for session, counts in plan.per_session.items()}
            judged = [
                one for one in select(self.reader, sorted(trained), None, self.position) if isinstance(one, Annotations)
            ]
            weigher = Weigher.from_counts(
                self.policy, trained, {one.session: task_of(one.created, self.policy) for one in judged}
            )
        if self.policy.weights.apply != "resample" or self.format.weighs:
            return weigher, None
        return weigher, Copies.of(self._weights(weigher, judged))

    def _weights(self, weigher: Weigher, judged: Sequence[Annotations]) -> list[float]:
        """The weights of the rows to come."""
        if weigher.needs_counts and self.format.unit == "segment":
            # How many replies share a row, and so its weight, is known only once it is made.
            sources = (Source(self.reader, one, self.policy, weigher) for one in judged)
            return [line.weight for source in sources for line in self.format.lines(source) if isinstance(line, Line)]
        weights = [1.0]
        if weigher.needs_counts:
            weights = [weigher.weight(one, 1.0) for one in judged for _ in range(weigher.session_trained[one.session])]
        return [*weights, min(weights) / 2] if weights and "both" in self.policy.advice.modes else weights

    def _total(self) -> int:
        """Roughly how much there is to do: replies, or events."""
        if self._progress is None:
            return 0
        return self._size(names_of(self.reader, self.sessions))

    def _size(self, names: Sequence[str]) -> int:
        kinds = ("model.reply", "model.interrupted") if self.format.takes_policy else None
        return sum(self.reader.count(name, kinds=kinds, up_to=self.position) for name in names)


def _journal_state(result: SessionResult, copies: Copies | None) -> dict[str, Any]:
    """What the journal says of a session."""
    state: dict[str, Any] = {"owed": copies.owed if copies else 0.0}
    if result.counts is None:
        return {**state, "reason": result.reason}
    return {**state, "counts": msgspec.to_builtins(result.counts), "told": result.report}


def find_finished_export(
    path: Path, format: Format, policy: FilterPolicy, sessions: Sequence[str] | None
) -> int | None:
    """The log position of the whole export at ``path``; None where there is none, or it is another than is asked for.

    By its manifest: format, its settings, policy, and the sessions where they are named.
    """
    if not path.exists() or journal_of(path).exists():
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        manifest = msgspec.json.decode(path.with_name(f"{path.name}.manifest.json").read_bytes())
        written = {*manifest["sessions"], *manifest["left_out"]}
        settings = {"settings": format.settings} if format.settings else {}
        same = manifest["format"] == {"name": format.name, "version": format.version, **settings}
        if same and manifest["policy_sha256"] == policy.digest and (sessions is None or written == set(sessions)):
            return int(manifest["position"])
    return None
