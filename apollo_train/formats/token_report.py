"""What a file of tokens holds, as counts, a report and a page: trained, masked and dropped by reason, and some rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from apollo_train.formats import html
from apollo_train.output_files import NewFiles
from apollo_train.templates.engine import Engine
from apollo_train.templates.packing import PackCounts, Row
from apollo_train.templates.renderer import Piece, StepTokens, Unfit
from apollo_train.templates.token_check import TokenCheck

SHOWN_CONTEXT: Final = 1200
"""Of a stretch of context, head and tail, half of this each, are shown, in characters."""

TRL_DEFAULT: Final = 1024
"""``SFTConfig.max_length`` where nobody says it."""

INSTEAD: Final = (
    "what comes after it in the same context is refused too; take the template that the model was served with, by "
    "--chat-template FILE, or a model whose template takes this"
)
"""What helps where a template refuses a conversation that a server took."""


class Stretch(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stretch of decoded text in a preview."""

    text: str
    role: Literal["trained", "masked", "context"]
    label: str = ""
    reason: str = ""
    tokens: int = 0


class RowPreview(msgspec.Struct, frozen=True):
    """A row, decoded."""

    id: str
    tokens: int
    trained: int
    stretches: tuple[Stretch, ...]


class TokenReport(msgspec.Struct):
    """Counts of one export; all lengths in tokens."""

    rows: int = 0
    replies: int = 0
    twins: int = 0
    """Replies that stand in two rows, with advice in the prompt and without it; ``replies`` counts each time."""
    tokens: int = 0
    trained: int = 0
    context: int = 0
    masked: dict[str, int] = {}
    """Tokens of replies without loss, by reason."""
    masked_actions: dict[str, int] = {}
    """Calls without loss in rows that train other parts of the same reply, by reason."""
    masked_by_label: dict[str, int] = {}
    """Tokens without loss by the label of the flags that mask them; of several labels, for each."""
    dropped: dict[str, int] = {}
    """Replies that are in no row, by reason."""
    cut_rows: int = 0
    cut_tokens: int = 0
    longest: int = 0
    over_default: int = 0
    """Rows that are longer than what TRL keeps unless it is told otherwise."""
    packed_rows: int = 0
    pack_broken: int = 0
    """Times that a row had to end because the template renders what came before differently later on."""
    no_think: int = 0
    unsaid: dict[str, int] = {}
    """Parts of replies that the template does not render."""
    sampled: int = 0
    """Replies whose token ids are the server's own."""
    check: TokenCheck = msgspec.field(default_factory=TokenCheck)
    """What the servers and this tokenizer counted for the same requests."""
    first_problem: str = ""
    """What a template said when it first refused a conversation, where, and what helps."""
    shown: list[RowPreview] = []

    def take(self, row: Row, engine: Engine, *, previews: int) -> None:
        """Count a row, and keep it decoded if it is one of the first."""
        self.rows += 1
        self.replies += len(row.replies)
        self.tokens += len(row.ids)
        self.trained += sum(row.trained)
        self.context += len(row.ids) - sum(reply.end - reply.start for reply in row.replies)
        self.longest = max(self.longest, len(row.ids))
        self.over_default += len(row.ids) > TRL_DEFAULT
        self.packed_rows += len(row.replies) > 1
        for reply in row.replies:
            self._reply(reply.step)
        if len(self.shown) < previews:
            self.shown.append(preview_row(row, engine))

    def _reply(self, step: Any) -> None:
        cells = {(cell.part, cell.call): cell for cell in step.sample.mask.cells}
        for piece in step.pieces:
            if piece.reason:
                cell = cells.get((piece.part, piece.call), step.sample.mask.whole)
                for label in cell.labels if cell.reason == piece.reason else ():
                    _add(self.masked_by_label, label, piece.end - piece.start)
                _add(self.masked, piece.reason, piece.end - piece.start)
                if piece.part == "call":
                    _add(self.masked_actions, piece.reason)
            elif scrubbed := sum(piece.start <= at < piece.end for at in step.scrubbed):
                _add(self.masked, "scrubbed", scrubbed)
        self.cut_rows += step.cut > 0
        self.cut_tokens += step.cut
        self.no_think += step.no_think
        self.sampled += step.sampled
        for part in step.unsaid:
            _add(self.unsaid, part)
        self.check.take(step.sample, step)

    def drop(self, reason: str) -> None:
        """Count a reply that is in no row."""
        _add(self.dropped, reason)

    def note(self, unfit: Unfit, place: str) -> None:
        """Keep what the template said first, and of which reply."""
        if unfit.detail and not self.first_problem:
            self.first_problem = f"at {place} {unfit.detail} ({INSTEAD})"

    def add_packing(self, counts: PackCounts) -> None:
        """Take the counts of a session's packing."""
        self.pack_broken += counts.broken

    def add(self, other: TokenReport, *, previews: int) -> None:
        """Add the report of what follows."""
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, dict):
                for key, number in theirs.items():
                    _add(mine, key, number)
            elif isinstance(mine, int) and name != "longest":
                setattr(self, name, mine + theirs)
        self.check.add(other.check)
        self.longest = max(self.longest, other.longest)
        self.first_problem = self.first_problem or other.first_problem
        self.shown += other.shown[: max(0, previews - len(self.shown))]

    def lines(self) -> Iterator[str]:
        """The report for a person."""
        twice = f" ({self.twins:,} of them twice, as twins)" if self.twins else ""
        yield (
            f"{self.rows:,} rows of {self.replies - self.twins:,} replies{twice}: {self.tokens:,} tokens, "
            f"{self.trained:,} trained "
            f"({self.tokens / max(1, self.trained):.1f} processed for each); the longest has {self.longest:,}"
        )
        yield from (f"masked: {n:,} tokens, {why}" for why, n in sorted(self.masked.items()))
        yield from (f"masked by label: {n:,} tokens, {label}" for label, n in sorted(self.masked_by_label.items()))
        yield from (f"masked: {n:,} calls beside trained ones, {why}" for why, n in sorted(self.masked_actions.items()))
        yield from (f"dropped: {n:,} replies, {why}" for why, n in sorted(self.dropped.items()))
        yield from (f"the template does not render the {part} of {n:,} replies" for part, n in self.unsaid.items())
        notes = {
            "prompts were cut at their start to fit": self.cut_rows,
            "rows hold more than one reply": self.packed_rows,
            "rows had to end early, because the template renders earlier turns differently later": self.pack_broken,
            "replies without reasoning are in the template's no-think form, its empty block masked": self.no_think,
            "replies have the server's own token ids": self.sampled,
        }
        yield from (f"{n:,} {what}" for what, n in notes.items() if n)
        if self.over_default:
            yield (
                f"with TRL say max_length=None and no packing: its default of {TRL_DEFAULT:,} tokens would cut off the "
                f"end of {self.over_default:,} of these rows without a word (docs/trainers.md has the whole program)"
            )
        yield from self.check.lines()
        if self.first_problem:
            yield f"the first refusal: {self.first_problem}"

    def counts(self) -> dict[str, Any]:
        """The counts without the previews."""
        counts: dict[str, Any] = msgspec.to_builtins(self)
        del counts["shown"]
        if not self.twins:
            del counts["twins"]
        counts["check"] = self.check.plain()
        return counts


def preview_row(row: Row, engine: Engine) -> RowPreview:
    """The row as text, stretch by stretch."""
    stretches: list[Stretch] = []
    at = 0
    for reply in row.replies:
        stretches.append(_context(row, engine, at, reply.start))
        for piece in reply.step.pieces:
            label = f"step {reply.step.sample.meta['step']}" + (f" {piece.part}" if piece.part != "reply" else "")
            label += f" {piece.call}" if piece.call else ""
            for start, end, reason in _split_piece(reply.step, piece):
                ids = row.ids[reply.start + start : reply.start + end]
                role: Literal["trained", "masked"] = "masked" if reason else "trained"
                stretches.append(Stretch(engine.decode(ids), role, label, reason, len(ids)))
        at = reply.end
    return RowPreview(row.last.sample.id, len(row.ids), sum(row.trained), tuple(s for s in stretches if s.tokens))


def _split_piece(step: StepTokens, piece: Piece) -> Iterator[tuple[int, int, str]]:
    """A piece in stretches that are trained or masked for one reason: scrubbed words are masked in what is trained."""
    reasons = (piece.reason or ("scrubbed" if at in step.scrubbed else "") for at in range(piece.start, piece.end))
    at = piece.start
    for reason, group in groupby(reasons):
        end = at + sum(1 for _ in group)
        yield at, end, reason
        at = end


def _context(row: Row, engine: Engine, start: int, end: int) -> Stretch:
    text = engine.decode(row.ids[start:end])
    if len(text) > SHOWN_CONTEXT:
        half = SHOWN_CONTEXT // 2
        text = f"{text[:half]}\n[… {len(text) - 2 * half:,} characters …]\n{text[-half:]}"
    return Stretch(text, "context", "", "", end - start)


def _add(counts: dict[str, int], key: str, number: int = 1) -> None:
    counts[key] = counts.get(key, 0) + number


def report_paths(out: Path) -> tuple[Path, Path]:
    """Where the report and the page of ``out`` lie."""
    return out.with_name(f"{out.name}.report.json"), out.with_name(f"{out.name}.preview.html")


def write_report(out: Path, report: TokenReport, settings: dict[str, Any], *, overwrite: bool) -> tuple[Path, Path]:
    """Write the report and the page beside ``out``."""
    paths = report_paths(out)
    whole = {"apollo": "token-report", "v": 1, "settings": settings, "counts": report.counts()}
    with NewFiles(paths, overwrite=overwrite) as files, files.explain_errors():
        report_file, page_file = files.files
        report_file.line(json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False).encode())
        page_file.line(render_page(out.name, report).encode())
        files.put()
    return paths


def render_page(title: str, report: TokenReport) -> str:
    """The page, complete in itself; all foreign text is escaped."""
    return html.page(title, report.lines(), _render_rows(report))


def _render_rows(report: TokenReport) -> Iterator[str]:
    for row in report.shown:
        yield f"<h2>{html.safe(row.id)}</h2><p>{row.trained:,} of {row.tokens:,} tokens trained</p><pre>"
        for stretch in row.stretches:
            about = " ".join(word for word in (stretch.label, stretch.role, stretch.reason) if word)
            yield html.span(stretch.text, stretch.role, about)
        yield "</pre>"
