"""The composer of a view: bound to a session from opening to leaving, its draft on disk within a second."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Final

import msgspec
from textual.worker import Worker, WorkerCancelled

from apollo_tui.acts.control import find_queued, read_advice_text, read_earlier_advice, read_reach
from apollo_tui.acts.corrections import own_correction, read_original, save_correction
from apollo_tui.acts.drafts import Draft, join_drafts
from apollo_tui.backend.feed import NotDone
from apollo_tui.context import View
from apollo_tui.keys import COMPOSER, display_name
from apollo_tui.screens.composer_templates import ComposerTemplates
from apollo_tui.state.advice_templates import AdviceTemplate
from sessions import events as ev
from sessions.fold.summary import ADVICE_KEPT
from sessions.hints import Remedy
from sessions.ulid import new_ulid
from widgets.composer import Composer
from widgets.models import ComposerTarget, EarlierText
from widgets.sanitise import clean

SAVE_MS: Final = 300
"""A draft is written this long after the first key that is not on disk yet."""
SENDS: Final[dict[str, str]] = {"answer": "answer", "correct": "save", "note": "save"}
"""What enter does where it does not queue, by the composer's verb."""
CORRECTION_HINTS: Final = [
    ("enter", "save"),
    ("up", "its call"),
    ("ctrl+j", "new line"),
    (display_name("pageup"), "scroll"),
    (display_name("escape"), "leave"),
]


class DraftComposer(Composer):
    """The one text field of a view: it opens on a draft, keeps it, and sends it as advice, an edit of queued advice,
    an answer or a correction."""

    def __init__(self, view: View) -> None:
        super().__init__(id="composer")
        self._view = view
        self.context = view.context
        self._draft: Draft | None = None
        self._unsaved_since: int | None = None
        self._opened_at_step = 0
        self._opened = 0
        """How often it was opened: what is looked up for one opening is not for the next."""
        self._about: Worker[ev.Target | None] | None = None
        """Finds out what the advice is about, while it is being written."""
        self._queued: Worker[str | None] | None = None
        """Reads queued text of which the summary holds only the beginning; None once the composer has it."""
        self._advice: Draft | None = None
        """The advice that was being written when queued advice was recalled in its place."""
        self._queued_text = ""
        """The words of the queued advice that is edited: as long as they stand, they are no draft."""
        self._waiting_texts: dict[int, str] = {}
        """The words of all advice that can be recalled and edited, by its number, and how far it reaches."""
        self._waiting_reaches: dict[int, ev.Reach] = {}
        self._asked_to_take_back = False
        self._templates = ComposerTemplates(view.context.config.path)
        self._earlier: list[EarlierText] = []
        """What was sent to this session before, oldest first."""

    @property
    def draft(self) -> Draft | None:
        """What is being written, None while it is closed."""
        return self._draft

    def hints(self) -> list[tuple[str, str]]:
        """Its keys, for the footer, while it is open."""
        if self._draft is not None and self._draft.corrects is not None:
            return CORRECTION_HINTS
        has_reach = self.target is not None and bool(self.target.reach)
        rows = [row for row in COMPOSER if row[1] != "reach" or has_reach]
        found = [(display_name(names.split(", ")[0]), verb) for names, verb, _ in rows]
        sends = SENDS.get(self.target.verb) if self.target is not None else None
        if self._draft is not None and self._draft.edits is not None:
            return [(found[0][0], "change"), *found[1:]]
        # What is no advice to a running session has no "now".
        return found if sends is None else [(found[0][0], sends), *found[2:]]

    # --- opening ----------------------------------------------------------------------------------------------------

    def open(self, session: str, wanted: Draft | None = None) -> None:
        """Bind it, at once: the next key is for it. What has to be looked up in the log is added then."""
        context = self.context
        self.keep_draft()
        draft = join_drafts(
            context.drafts.load(session, wanted.slot if wanted else "advice"),
            wanted or Draft(session, "", context.clock()),
        )
        if wanted is not None and wanted.also != draft.also:
            # The text is kept, but it goes to whom it says now.
            draft = msgspec.structs.replace(draft, also=wanted.also, request="")
        summary = context.state.sessions[session].summary
        self._draft, self._unsaved_since, self._opened_at_step = draft, None, summary.step
        self._advice, self._queued_text, self._asked_to_take_back, self._earlier = None, "", False, []
        if wanted is None:
            draft = self._take_over_edits(draft)
            self._draft = draft
        verb = "answer" if draft.answers is not None else ("edit" if draft.edits is not None else "advise")
        if draft.corrects is not None:
            verb = "correct"
        if verb == "advise" and not draft.reach:
            self._draft = draft = msgspec.structs.replace(draft, reach="general")
        target = ComposerTarget(
            session=session,
            address=summary.address,
            title=summary.title,
            verb=verb,  # type: ignore[arg-type]  # one of the words above
            about=str(draft.corrects or draft.about or ""),
            ref=draft.answers if draft.answers is not None else draft.edits,
            also=tuple(context.name(other) for other in draft.also),
            reach=draft.reach if verb in ("advise", "edit") else "",
        )
        self._opened += 1
        self.bind(target, draft=draft.text, earlier=None)
        self._view.renew_hints()
        fresh = wanted is None and draft.about is None and not draft.text
        self._about = self.run_worker(self._look_up(target, self._opened, about_selection=fresh), group="composer")

    async def _look_up(self, opened: ComposerTarget, opening: int, *, about_selection: bool) -> ev.Target | None:
        """Take in what the log knows, and return the selected action, if that is what advice is about."""
        target = opened
        selected = await self._view.selected_entry() if about_selection else None
        about: ev.Target | None = None
        if selected is not None and selected[0] == target.session:
            with contextlib.suppress(NotDone):
                about = (await self.context.flags.find_subject(*selected)).target
        if self._draft is not None and self._draft.corrects is not None:
            # ``up`` brings what the agent did, to be changed.
            original = await read_original(self.context.feed, target.session, self._draft.corrects)
            earlier = [EarlierText(text) for text in original]
        else:
            earlier = await self._read_earlier(target.session)
        reach = await read_reach(self.context.feed, target.session, target.ref or 0) if target.verb == "edit" else None
        if self.target is not None and self._opened == opening:
            target = self.target
            if target.verb == "edit" and not target.reach:
                # Advice of which nobody said it counts as that.
                target = msgspec.structs.replace(target, reach=reach or "here")
            if about is not None and self._draft is not None:
                self._draft = msgspec.structs.replace(self._draft, about=about)
                target = msgspec.structs.replace(target, about=str(about))
            self._earlier = earlier
            self.complete(target, earlier)
        return about

    async def _read_earlier(self, session: str) -> list[EarlierText]:
        """What was sent before; of advice that waits, the changes to it that were not sent."""
        earlier = await read_earlier_advice(self.context.feed, session, self._waiting(session))
        self._waiting_texts = {one.queued: one.text for one in earlier if one.queued is not None}
        for number in self._waiting_texts:
            self._waiting_reaches[number] = await read_reach(self.context.feed, session, number) or "here"
        drafts = {number: self.context.drafts.load(session, f"edit-{number}") for number in self._waiting_texts}
        return [
            EarlierText(draft.text, one.queued) if one.queued and (draft := drafts.get(one.queued)) is not None else one
            for one in earlier
        ]

    def _waiting(self, session: str) -> set[int]:
        return {advice.advice for advice in self.context.state.sessions[session].summary.open_advice}

    def _take_over_edits(self, draft: Draft) -> Draft:
        """The draft with unsent changes to advice that waits no more: they would be out of reach."""
        drafts, waiting = self.context.drafts, self._waiting(draft.session)
        for lost in drafts.all():
            if lost.session == draft.session and lost.edits is not None and lost.edits not in waiting:
                text = "\n".join(filter(None, (draft.text, lost.text)))
                draft = msgspec.structs.replace(draft, text=text, request="")
                with contextlib.suppress(OSError):
                    drafts.save(draft)
                    drafts.clear(lost.session, lost.slot)
        return draft

    # --- while it is open -------------------------------------------------------------------------------------------

    def on_composer_draft_changed(self, message: Composer.DraftChanged) -> None:
        """Typed: keep it, on disk within a second."""
        if self._draft is None or message.text == self._draft.text:
            return
        self._asked_to_take_back = False
        # A changed text is another request: the old id may have been applied by a host that went away.
        self._draft = msgspec.structs.replace(self._draft, text=message.text, request="")
        if self._unsaved_since is None:
            self._unsaved_since = self.context.clock()

    def on_composer_reach_turned(self) -> None:
        """General, or here only: kept with the draft."""
        if self._draft is None or self.target is None:
            return
        reach: ev.Reach = "here" if self.target.reach == "general" else "general"
        self._draft = msgspec.structs.replace(self._draft, reach=reach, request="")
        if self._unsaved_since is None:
            self._unsaved_since = self.context.clock()
        step = self.context.state.sessions[self._draft.session].summary.step
        self.show_target(msgspec.structs.replace(self.target, reach=reach), max(0, step - self._opened_at_step))

    def on_composer_recalled(self, message: Composer.Recalled) -> None:
        """Advice that waits is edited where it is recalled; what was being written is kept, and comes back after it."""
        draft = self._draft
        if draft is None or draft.answers is not None or draft.corrects is not None:
            return
        if draft.edits is None:
            self.keep_draft()
            self._advice = draft
        elif self._advice is None:
            self._advice = Draft(draft.session, "", self.context.clock())
        if message.queued is None:
            self._draft, self._queued_text = self._advice, ""
        else:
            fresh = Draft(draft.session, "", self.context.clock(), edits=message.queued)
            self._draft = self.context.drafts.load(draft.session, fresh.slot) or fresh
            self._queued_text = self._waiting_texts.get(message.queued, "")
        about, verb, reach = str(self._draft.about or ""), "advise", self._draft.reach
        if message.queued is not None:
            verb, reach = "edit", reach or self._waiting_reaches.get(message.queued, "here")
        target = msgspec.structs.replace(message.target, verb=verb, ref=message.queued, about=about, reach=reach)
        self.show_target(target, 0)
        self._view.renew_hints()

    def on_composer_field_asked(self, message: Composer.FieldAsked) -> None:
        """The next field of a template; on an empty line, templates and what was said before."""
        draft = self._draft
        if draft is None:
            return
        first, last = self.area.selected_characters()
        found = self._templates.next_field(self.text, last if message.by > 0 else first, message.by)
        if found is not None:
            self.area.select_characters(*found)
        elif self.text.strip() or draft.corrects is not None:
            self._view.say("no field is left to fill in; on an empty line tab offers templates")
        else:
            said = self._templates.ask(self._view.apollo.open, self._earlier, self._take_template, self._take_earlier)
            if said:
                self._view.say(said, "warning")

    def _take_template(self, template: AdviceTemplate) -> None:
        """Put it into the field, the cursor in its first field; it says how far it reaches."""
        if self._draft is None or self.target is None:
            return
        self._put(template.text.strip())
        if template.reach and self.target.reach and template.reach != self.target.reach:
            self.on_composer_reach_turned()
        found = self._templates.next_field(self.text, 0, 1)
        if found is not None:
            self.area.select_characters(*found)

    def _take_earlier(self, text: EarlierText) -> None:
        """Advice that waits is edited, all else is written anew."""
        if self._draft is None:
            return
        if text.queued is None or not self.edit_queued(self._draft.session, text.queued):
            self._put(text.text)

    def _put(self, text: str) -> None:
        area = self.area
        area.insert(clean(text), (0, 0))
        area.move_cursor(area.document.end)

    def on_composer_left(self) -> None:
        """Back to the view; the draft stays."""
        self._close()

    def on_composer_submitted(self, message: Composer.Submitted) -> None:
        """Send. The draft is cleared when the host has acknowledged it, not before."""
        if self._draft is None:
            return
        if not message.text.strip() and self._draft.edits is not None and self._queued is None:
            self._ask_to_take_back(self._draft, self._draft.edits)
            return
        if not message.text.strip() and self._draft.corrects is None:
            self._close()
            return
        if said := self._templates.warn(message.text):
            self._view.say(said, "warning")
            return
        request = self._draft.request or new_ulid()
        draft = msgspec.structs.replace(self._draft, text=message.text, request=request)
        self._draft = draft
        about = self._about
        self._close()
        self.context.note_sight(self._view.in_sight())
        self._view.say("sending …")
        self._view.act(self._send(draft, about, now=message.now))

    def _ask_to_take_back(self, draft: Draft, number: int) -> None:
        """Advice without a word is none: asked twice, it is taken back."""
        if not self._asked_to_take_back:
            self._asked_to_take_back = True
            self._view.say(
                f"advice {number} would be empty: enter again takes it back, esc leaves it as it was", "warning"
            )
            return
        self._close()
        self._view.act(self._take_back(draft.session, number))

    async def _take_back(self, session: str, number: int) -> str:
        event = await find_queued(self.context.feed, session, number)
        own = event is not None and event.actor == self.context.feed.actor
        undoes = event.seq if event is not None and own else None
        return await self.context.control.withdraw(session, number, undoes, to_draft=False)

    def tick(self, now: int) -> None:
        """Store the draft, and say how far the session went meanwhile."""
        if self._unsaved_since is not None and now - self._unsaved_since >= SAVE_MS:
            self.keep_draft()
        if self._draft is not None:
            step = self.context.state.sessions[self._draft.session].summary.step
            self.progress(max(0, step - self._opened_at_step))

    def keep_draft(self) -> None:
        """Write the draft, if the disk does not have it yet. What stands in the log already is none."""
        draft = self._draft
        if draft is None:
            return
        corrects = draft.corrects
        stands = draft.edits is not None and draft.text == self._queued_text and not draft.reach
        if stands or (
            corrects is not None and draft.text == own_correction(self.context.state, draft.session, corrects)
        ):
            self._unsaved_since = None
            self.context.drafts.clear(draft.session, draft.slot)
            return
        try:
            self.context.drafts.save(draft)
        except OSError as problem:
            self._view.say(f"the draft could not be stored: {problem.strerror}", "error")
            return
        self._unsaved_since = None

    def _close(self) -> None:
        self.keep_draft()
        self._draft = None
        self.unbind()
        self._view.refocus()
        self._view.renew_hints()

    # --- sending ----------------------------------------------------------------------------------------------------

    async def _send(self, draft: Draft, about: Worker[ev.Target | None] | None, *, now: bool) -> str:
        if draft.corrects is not None:
            receipt = await self._save_correction(draft, draft.corrects)
        else:
            receipt = await self._send_advice(draft, about, now=now)
        stored = self.context.drafts.load(draft.session, draft.slot)
        if stored is not None and stored.request == draft.request:
            self.context.drafts.clear(draft.session, draft.slot)
        return receipt

    async def _save_correction(self, draft: Draft, target: ev.Target) -> str:
        context = self.context
        try:
            return await save_correction(context.flags, context.state, context.config.keys, draft, target)
        except NotDone as problem:
            ways = (*problem.remedies, Remedy("send_correction", "brings it back", also=True))
            raise NotDone(f"not saved: {problem}", cut=problem.cut, remedies=ways) from problem

    async def _send_advice(self, draft: Draft, about: Worker[ev.Target | None] | None, *, now: bool) -> str:
        if about is not None and draft.about is None:
            # Whoever writes fast must not be told that the advice was about nothing.
            with contextlib.suppress(WorkerCancelled):  # the view was left
                draft = msgspec.structs.replace(draft, about=await about.wait())
        context = self.context
        seen = partial(context.sight.evidence, now=context.clock())
        try:
            draft = await self._complete_edit(draft)
            if draft.also:
                return await context.control.send_to_all(draft, now=now, seen=seen)
            return await context.control.send(draft, now=now, seen=seen(draft.session))
        except NotDone as problem:
            ways = (*problem.remedies, Remedy("send_draft", "brings the draft back", also=True))
            raise NotDone(f"not sent: {problem}", cut=problem.cut, remedies=ways) from problem

    # --- queued advice ----------------------------------------------------------------------------------------------

    def edit_advice(self, session: str, seq: int) -> bool:
        """Open queued advice for editing; False if it is not waiting any more."""
        number = self.context.state.sessions[session].advice.get(seq)
        return number is not None and self.edit_queued(session, number)

    def edit_queued(self, session: str, number: int) -> bool:
        """Open the queued advice of that number for editing; False if it is not waiting any more."""
        open_advice = self.context.state.sessions[session].summary.open_advice
        waiting = next((advice for advice in open_advice if advice.advice == number), None)
        if waiting is None:
            return False
        whole = len(waiting.text) < ADVICE_KEPT
        draft = Draft(session, waiting.text if whole else "", self.context.clock(), edits=waiting.advice)
        self.open(session, draft)
        self._queued_text = draft.text
        self._queued = None
        if not self.text:
            self._queued = self.run_worker(self._read_queued(draft), group="fill")
        return True

    async def _read_queued(self, draft: Draft) -> str | None:
        """The queued text, put before what was typed; None if the log cannot be read."""
        drafts = self.context.drafts
        text = await read_advice_text(self.context.feed, draft.session, draft.edits or 0)
        if text is None:
            self._view.say("the queued advice could not be read: nothing is changed", "error")
            return None
        if self._draft is not None and (self._draft.session, self._draft.edits) == (draft.session, draft.edits):
            self.put_before(text)
            self._queued, self._queued_text = None, text
            return text
        # It was left before this came: what was typed is kept as the draft, after the text that it belongs to.
        stored = drafts.load(draft.session, draft.slot)
        if stored is not None and stored.edits == draft.edits and not stored.request:
            with contextlib.suppress(OSError):
                drafts.save(msgspec.structs.replace(stored, text=text + stored.text))
        return text

    async def _complete_edit(self, draft: Draft) -> Draft:
        """The draft with the queued text, where that had not come when it was sent. Raises NotDone."""
        queued, self._queued = self._queued, None
        if queued is None or draft.edits is None:
            return draft
        with contextlib.suppress(WorkerCancelled):
            text = await queued.wait()
            if text is not None:
                draft = msgspec.structs.replace(draft, text=text + draft.text)
                with contextlib.suppress(OSError):
                    self.context.drafts.save(draft)
                return draft
        raise NotDone("the queued advice could not be read")
