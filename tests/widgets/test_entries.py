import random

from widget_events import ESCAPES, Told

from sessions import events as ev
from sessions.events.messages import TextPart
from widgets import cells
from widgets.cells import text_of
from widgets.entries import EntryBook, entry_of, fold_runs
from widgets.glyphs import next_running_time, running_time
from widgets.models import Entry, FlagMark
from widgets.rows import rows_of
from widgets.sanitise import is_clean


def shown(entry: Entry, width: int = 80, **how: bool) -> list[str]:
    return [text_of(row) for row in rows_of(entry, width, gutter=5, **how)]


def test_an_action_says_its_command_its_last_line_and_how_long_it_took() -> None:
    told = Told()
    told.action(39, command="python train.py --lr 3e-3", output="epoch 1\nloss 0.41\n\n")
    entry = entry_of(told.events[0], told.events[1:])
    [row] = shown(entry, compact=True)
    assert row.startswith("  39 ▸ run  python train.py --lr 3e-3  loss 0.41")
    assert row.endswith("✓ 12 s")


def test_an_edit_says_how_many_lines_came_and_went() -> None:
    told = Told()
    told.action(3, name="edit_file", path="src/x.py")
    told.add(ev.FileChanged(path="src/x.py", added=3, removed=1), 3, 1)
    assert "edit_file  src/x.py  +3 −1" in shown(entry_of(told.events[0], told.events[1:]))[0]


def test_an_action_without_a_result_says_since_when_it_runs() -> None:
    told = Told()
    started = told.action(3, output=None, command="sleep 999")
    entry = entry_of(started)
    assert entry.outcome == "running"
    assert entry.since == started.at
    assert text_of(rows_of(entry, 60, gutter=5, running=running_time(22 * 60_000))[0]).endswith("… running 22 min")


def test_a_run_that_was_left_to_itself_is_in_the_background_and_says_how_it_ended() -> None:
    told = Told()
    started = told.add(ev.ActionStarted(call_id="c", name="run", arguments={"command": "train"}), 3, 1)
    told.add(ev.JobStarted(job=7, command="train", pid=1, start_time="", boot_id="", folder=""), 3, 1)
    told.add(ev.JobBackgrounded(job=7, why="timeout"), 3, 1)
    output = ev.LongText("epoch 1\n[Still running: it goes on as job 7.]\n")
    data = {"job": 7, "background": "timeout"}
    told.add(ev.ActionResult(call_id="c", outcome="timeout", output=output, duration_ms=6000, data=data), 3, 1)
    left = entry_of(started, told.events[1:])
    assert (left.outcome, left.tail, left.note) == ("background", "epoch 1", "")
    told.add(ev.JobEnded(job=7, exit_code=0, duration_ms=90_000))
    ended = entry_of(started, told.events[1:])
    assert (ended.outcome, ended.note, ended.duration_ms) == ("background", "exit 0", 90_000)


def test_a_command_that_ended_well_while_it_was_waited_for_says_nothing_of_its_job() -> None:
    told = Told()
    told.add(ev.ActionStarted(call_id="c", name="run", arguments={"command": "ls"}), 3, 1)
    told.add(ev.JobStarted(job=7, command="ls", pid=1, start_time="", boot_id="", folder=""), 3, 1)
    told.add(ev.JobEnded(job=7, exit_code=0), 3, 1)
    told.add(ev.ActionResult(call_id="c", outcome="ok", output=ev.LongText("a.py"), duration_ms=100), 3, 1)
    entry = entry_of(told.events[0], told.events[1:])
    assert (entry.outcome, entry.note, entry.tail) == ("ok", "", "a.py")


def test_where_room_is_short_the_result_wins_over_arguments_that_say_little() -> None:
    told = Told()
    told.action(9, name="job_output", output="loss 0.41 at epoch 3\n", job=1, lines=200)
    entry = entry_of(told.events[0], told.events[1:])
    assert "loss 0.41" in shown(entry, 50, compact=True)[0]
    assert "lines=200" not in shown(entry, 50, compact=True)[0]
    assert "lines=200" in shown(entry, 90)[0]


def test_in_a_narrow_pane_name_and_outcome_are_whole_and_what_stands_beside_gives_way_with_a_mark() -> None:
    flagged = FlagMark("f1", "bad", "instruction broken", "human:ada")
    entry = Entry(
        4, "action", 0, step=6, call=1, name="run", head=(("run", "call"), ("  python3 train.py", "text")),
        outcome="background", flags=(flagged,), marks=("seen",), note="killed by agent",
    )  # fmt: skip
    for width in range(34, 100):
        [row] = shown(entry, width, compact=True)
        assert cells.width(row) <= width and row[:11] in ("   6 ▸ run ", "   6 ▸ run…") and "◔ in background" in row
        assert "⚑ instruction broken" in row or row.endswith("…") or "⚑" not in row
    assert shown(entry, 45, compact=True) == ["   6 ▸ run… ◔ in background  ⚑ instruction b…"]
    wide = shown(entry, 110, compact=True)[0]
    assert "python3 train.py" in wide and "killed by agent  [seen]  ◔ in background  ⚑ instruction broken" in wide


def roles_of(entry: Entry, width: int = 80, **how: bool) -> dict[str, str]:
    return {text.strip(): role for row in rows_of(entry, width, gutter=5, **how) for text, role in row}


def test_what_failed_is_red_with_a_glyph_and_a_word() -> None:
    told = Told()
    told.action(3, command="make", output="no rule\n[exit code 2 after 0.1 s]", outcome="error")
    failed = entry_of(told.events[0], told.events[1:])
    assert [" ".join(row.split()) for row in shown(failed)] == ["3 ▸ run make ✗ exit 2 12 s", "└ no rule"]
    assert (roles_of(failed)["✗ exit 2 12 s"], roles_of(failed)["no rule"]) == ("error", "error")
    assert "✗ exit 2" in shown(failed, 40, compact=True)[0]
    refused = told.add(ev.ActionRefused(call_id="c", name="read", why="malformed", problem="no JSON"), 4, 1)
    assert roles_of(entry_of(refused))["✗ malformed"] == "error"


def test_a_command_that_its_harness_did_not_take_for_a_failure_is_one() -> None:
    told = Told()
    told.action(3, name="Bash", command="make", output="Exit code 2\nno rule")
    failed = entry_of(told.events[0], told.events[1:], tools={"Bash": "run"})
    assert (failed.outcome, failed.outcome_word) == ("error", "exit 2")
    told.action(4, name="Read", file_path="x", output="exit 1")
    assert entry_of(told.events[2], told.events[3:]).outcome == "ok", "a file may say what it wants"


def test_a_look_that_finds_nothing_yet_is_no_failure_whatever_code_it_ends_with() -> None:
    told = Told()
    told.action(3, name="Bash", command="sleep 60; grep done log", output="Exit code 1")
    assert entry_of(told.events[0], told.events[1:]).outcome == "ok"


def test_a_transcript_shows_what_an_edit_removes_and_adds_and_a_live_pane_has_no_room_for_it() -> None:
    told = Told()
    told.action(3, name="Edit", file_path="x.py", old_string="a = 1\nb = 2", new_string="a = 1\nb = 3", output="edited")
    edit = entry_of(told.events[0], told.events[1:])
    assert [row.rstrip() for row in shown(edit)][1:] == ["       -b = 2", "       +b = 3"], "that it was edited is seen"
    assert (roles_of(edit)["-b = 2"], roles_of(edit)["+b = 3"]) == ("remove", "add")
    assert len(shown(edit, compact=True)) == 1
    told.action(4, name="Edit", file_path="x.py", old_string="a", new_string="b", output="not found", outcome="error")
    assert entry_of(told.events[2], told.events[3:]).preview == ()


def test_a_plan_shows_its_items_whoever_writes_it() -> None:
    told = Told()
    todos = [{"content": "Read", "status": "completed"}, {"content": "Build", "status": "in_progress"}]
    told.action(3, name="TodoWrite", todos=todos, output="ok")
    assert [row.rstrip() for row in shown(entry_of(told.events[0], told.events[1:]))][1:] == [
        "       [x] Read",
        "       [>] Build",
    ]


def test_a_thought_that_is_a_call_is_shown_as_one() -> None:
    told = Told()
    told.action(3, name="think", thought="The loss falls. " * 8, output="Your thought has been logged.")
    rows = shown(entry_of(told.events[0], told.events[1:]))
    assert rows[0].startswith("   3 ▸ think  ") and rows[1].startswith("       ┊ thinks: The loss")
    assert all(row.startswith("       ┊ ") for row in rows[1:]) and "logged" not in "".join(rows)


def test_arguments_that_say_what_holds_anyway_are_not_in_the_headline() -> None:
    told = Told()
    started = told.action(3, output=None, command="ls", timeout=120, background=False, tty=False)
    assert text_of(entry_of(started).head) == "run  ls"
    started = told.action(4, output=None, command="ls", timeout=6.0, background=False, tty=False)
    assert text_of(entry_of(started).head) == "run  ls  timeout=6.0"


def test_reasoning_has_a_bar_on_every_row_and_text_has_markdown() -> None:
    told = Told()
    reply = told.reply(
        4, text="**So** `x`:\n- wait", reasoning="The loss falls, and falls, and falls on.\nThen:\n```\nx\n```"
    )
    rows = shown(entry_of(reply), 40)
    assert rows == [
        "   4 · ┊ thinks: The loss falls, and",
        "       ┊ falls, and falls on.",
        "       ┊ Then:",
        "       ┊ x",
        "       So `x`:",
        "       • wait",
    ]


def test_reasoning_is_named_and_text_is_not() -> None:
    told = Told()
    reply = told.reply(4, text="I will wait.", reasoning="The loss falls.")
    rows = shown(entry_of(reply))
    assert rows == ["   4 · ┊ thinks: The loss falls.", "       I will wait."]


def test_a_reply_of_calls_only_takes_no_room_unless_it_is_flagged() -> None:
    told = Told()
    reply = told.reply(4)
    assert entry_of(reply).quiet
    flag = told.add(ev.FlagSet(flag="f", target=ev.Target(4), label="loop"), 4, actor="human:anna")
    flagged = entry_of(reply, [flag])
    assert not flagged.quiet
    assert "⚑ loop" in "".join(shown(flagged))


def test_a_reply_that_broke_off_on_its_way_to_its_harness_says_so() -> None:
    told = Told()
    told.add(ev.ReplyInterrupted(request=1, parts=(TextPart("Half"),), why="client", delivered="partial"), 1)
    told.add(ev.ModelAttemptFailed(request=1, attempt=1, reason="cut", delivered="partial"), 1)
    book = EntryBook()
    book.add(told.events)
    cut, failed = (" ".join(shown(entry)) for entry in book.entries())
    assert "broken off (its client hung up) while it was handed over: never a target" in cut
    assert "a part of it may have been handed over" in failed


def test_a_malformed_call_shows_what_the_model_wrote_and_what_was_wrong() -> None:
    told = Told()
    refused = told.add(
        ev.ActionRefused(
            call_id="c", name="run", why="malformed", problem="no JSON object", arguments='{"command": "ls'
        ),
        5,
        1,
    )
    entry = entry_of(refused)
    assert entry.outcome == "malformed"
    text = "\n".join(shown(entry, expanded=True))
    assert '{"command": "ls' in text
    assert "no JSON object" in text
    assert "✗ malformed" in text


def test_advice_says_what_it_waits_for_and_then_when_it_was_delivered() -> None:
    told = Told()
    book = EntryBook()
    started = told.action(9, name="evaluate", output=None)
    queued = told.add(ev.AdviceQueued(advice=1, text="let it run"), actor="human:anna")
    book.add(told.events)
    entry = book.entry(queued.seq)
    assert entry is not None
    assert entry.note == "queued, after `evaluate`"
    assert entry.since == started.at
    result = told.add(ev.ActionResult(call_id="c", outcome="ok", output=ev.LongText("0.5")), 9, 1)
    assert queued.seq in book.add([result])
    changed = book.add([told.add(ev.AdviceDelivered(advice=(1,), at_step=10, text="let it run"), 10)])
    assert queued.seq in changed
    entry = book.entry(queued.seq)
    assert entry is not None and entry.note == "delivered at step 10"


def test_delivered_advice_is_one_line_without_its_tag_and_unfolds_to_what_the_model_saw() -> None:
    told = Told()
    text = "<advice-ba89>\nlet it run\nto the end\n</advice-ba89>\n\n<advice-ba89>\nthen evaluate\n</advice-ba89>"
    entry = entry_of(told.add(ev.AdviceDelivered(advice=(1, 2), at_step=10, text=text), 10), [])
    assert entry.body == ()
    assert entry.tail == "let it run to the end then evaluate"
    assert "".join(text for line in entry.detail for text, _ in line).startswith("<advice-ba89>let it run")


def test_withdrawn_and_judged_advice_say_so() -> None:
    told = Told()
    queued = told.add(ev.AdviceQueued(advice=1, text="stop"), actor="human:anna")
    taken = told.add(ev.AdviceWithdrawn(advice=1, to_draft=True), actor="human:anna")
    assert entry_of(queued, [taken]).note == "taken back as a draft"
    delivered = told.add(ev.AdviceDelivered(advice=(1,), at_step=3, text="stop"), 3)
    outcome = told.add(ev.AdviceOutcome(advice=1, outcome="made_it_worse"), actor="human:anna")
    assert entry_of(queued, [delivered, outcome]).note == "delivered at step 3, made it worse"


def test_flags_find_their_target_and_removal_takes_them_away() -> None:
    told = Told()
    book = EntryBook()
    first, second = told.action(12, 1), told.action(12, 2)
    reply = told.reply(13, text="next")
    book.add(told.events)
    flag = told.add(
        ev.FlagSet(flag="a", target=ev.Target(12, "call", 2), label="impatience"), 12, 2, actor="human:anna"
    )
    span = told.add(ev.FlagSet(flag="b", target=ev.Target(12, "span", to_step=13), label="loop"), actor="rule:loop")
    assert book.add([flag]) == {second.seq}
    assert book.add([span]) == {first.seq, second.seq, reply.seq}
    labels = {
        seq: [mark.label for mark in entry.flags] for seq in (first.seq, second.seq) if (entry := book.entry(seq))
    }
    assert labels == {first.seq: ["loop"], second.seq: ["impatience", "loop"]}
    book.add([told.add(ev.FlagRemoved(flag="a"), actor="human:anna")])
    entry = book.entry(second.seq)
    assert entry is not None and [mark.label for mark in entry.flags] == ["loop"]


def test_the_order_in_which_windows_are_read_changes_no_entry() -> None:
    told = Told()
    for step in range(1, 30):
        told.reply(step, text=f"step {step}", reasoning="why")
        told.action(step, name=("run", "wait")[step % 2], command="x")
    told.add(ev.FlagSet(flag="a", target=ev.Target(5, "call", 1)), 5, 1, actor="human:anna")
    told.add(ev.AdviceQueued(advice=1, text="a"), actor="human:anna")
    told.add(ev.AdviceDelivered(advice=(1,), at_step=30, text="a"), 30)
    straight = EntryBook()
    straight.add(told.events)
    for seed in range(5):
        mixed = EntryBook()
        shuffled = list(told.events)
        random.Random(seed).shuffle(shuffled)
        for event in shuffled:
            mixed.add([event])
        assert mixed.entries() == straight.entries()


def test_polling_folds_into_one_row_and_nothing_that_matters_is_folded_away() -> None:
    told = Told()
    for step in range(1, 6):
        told.reply(step)
        told.action(step, name="wait", job=3)
    told.add(ev.FlagSet(flag="a", target=ev.Target(6, "call", 1), label="loop"), 6, 1, actor="human:anna")
    told.reply(6)
    told.action(6, name="wait", job=3)
    told.reply(7, text="Training is done.")
    book = EntryBook()
    book.add(told.events)
    folded = [entry for entry in fold_runs(book.entries()) if not entry.quiet]
    assert [entry.kind for entry in folded] == ["fold", "action", "reply"]
    assert [seq for seq in folded[0].members if book.entry(seq).kind == "action"] == folded_actions(book, 5)  # type: ignore[union-attr]
    assert folded[0].seq == folded[0].members[0]
    assert "wait ×5" in shown(folded[0], compact=True)[0]


def folded_actions(book: EntryBook, count: int) -> list[int]:
    return [entry.seq for entry in book.entries() if entry.kind == "action"][:count]


def test_a_few_words_between_two_looks_are_folded_with_them_but_not_much_text_and_not_the_last_word() -> None:
    told = Told()
    for step in range(1, 5):
        told.reply(step, text=f"Still at epoch {step}.")
        told.action(step, name="job_output", job=3)
    told.reply(5, text="The loss has stopped falling. " * 20)
    told.action(5, name="job_output", job=3)
    told.reply(6, text="Done.")
    book = EntryBook()
    book.add(told.events)
    folded = fold_runs(book.entries())
    assert [entry.kind for entry in folded] == ["reply", "fold", "reply", "action", "reply"]
    words = [book.entry(seq).kind for seq in folded[1].members]  # type: ignore[union-attr]
    assert words == ["action", "reply", "action", "reply", "action", "reply", "action"]
    assert "job_output ×4" in shown(folded[1], compact=True)[0]


def test_too_few_looks_stay_as_they_are_in_their_order() -> None:
    told = Told()
    for step in range(1, 3):
        told.reply(step, text="Not yet.")
        told.action(step, name="job_output", job=3)
    book = EntryBook()
    book.add(told.events)
    assert fold_runs(book.entries()) == book.entries()


def test_entries_from_foreign_text_are_clean_before_any_widget_sees_them() -> None:
    told = Told()
    told.add(ev.SessionCreated(number=1, title=ESCAPES, task=ESCAPES, model=ev.ModelSpec("demo", ESCAPES)))
    told.reply(1, text=ESCAPES, reasoning=ESCAPES)
    told.action(1, name=ESCAPES, output=ESCAPES, command=ESCAPES)
    told.add(
        ev.ActionRefused(call_id="c", name=ESCAPES, why="malformed", problem=ESCAPES, arguments=ESCAPES, shown=ESCAPES),
        1,
        2,
    )
    told.add(ev.AdviceQueued(advice=1, text=ESCAPES, about_text=ESCAPES), actor=f"human:{ESCAPES}")
    told.add(ev.NudgeSent(text=ESCAPES))
    told.add(ev.SummaryWritten(number=1, from_step=1, to_step=1, text=ev.LongText(ESCAPES)))
    told.add(ev.QuestionAsked(question=1, text=ESCAPES, until=0))
    told.add(ev.EvalScored(score=None, problem=ESCAPES), 1, 1)
    told.add(ev.StateChanged(state="paused", reason=ESCAPES), actor=f"human:{ESCAPES}")
    told.add(ev.ModelAttemptFailed(request=1, attempt=1, reason="server", message=ESCAPES))
    book = EntryBook()
    book.add(told.events)
    for entry in book.entries():
        for row in shown(entry, expanded=True) + shown(entry, compact=True) + [entry.tail, entry.name]:
            assert is_clean(row), (entry.kind, row)


def failing(told: Told, step: int, output: str, command: str = "make") -> None:
    told.reply(step)
    told.action(step, output=None, command=command)
    told.add(ev.ActionResult(call_id="c", outcome="error", output=ev.LongText(output)), step, 1)


def test_the_same_failure_over_and_over_is_one_row_that_a_flag_on_all_of_it_leaves_folded() -> None:
    told = Told()
    for step in range(1, 61):
        failing(told, step, f"error in line {step}")
    failing(told, 61, "no such target")
    failing(told, 62, "error in line 3", "make all")
    book = EntryBook()
    book.add(told.events)
    folded = [entry for entry in fold_runs(book.entries()) if not entry.quiet]
    assert [(entry.kind, entry.to_step) for entry in folded] == [("fold", 60), ("action", None), ("action", None)]
    [row, *_] = shown(folded[0], compact=True)
    assert "run ×60  make  to step 60" in row and "error in line 60" in row and "✗ error" in row
    flag = ev.FlagSet(flag="a", target=ev.Target(1, "span", to_step=60), label="loop")
    book.add([told.add(flag, actor="human:anna")])
    folded = [entry for entry in fold_runs(book.entries()) if not entry.quiet]
    assert len(folded) == 3 and [mark.label for mark in folded[0].flags] == ["loop"]
    book.add([told.add(ev.FlagSet(flag="b", target=ev.Target(30, "call", 1)), actor="human:anna")])
    parts = [entry.to_step for entry in fold_runs(book.entries()) if not entry.quiet and entry.kind == "fold"]
    assert parts == [29, 60], "what is flagged on its own stands on its own"


def test_what_runs_says_seconds_in_its_first_minute_and_the_screen_is_painted_when_it_says_something_else() -> None:
    said = [running_time(seconds * 1000) for seconds in (4, 10, 19, 59, 60, 119, 1320)]
    assert said == ["", "10 s", "10 s", "50 s", "1 min", "1 min", "22 min"]
    began, now, changes = 5_000, 5_000, []
    for _ in range(8):
        now = next_running_time(began, now)
        changes.append((now - began) // 1000)
    assert changes == [10, 20, 30, 40, 50, 60, 120, 180]


def test_what_a_job_prints_stands_below_its_call_and_below_a_wait_for_it_until_it_ends() -> None:
    told = Told()
    run = told.add(ev.ActionStarted(call_id="c", name="run", arguments={"command": "make"}), 1, 1)
    told.add(ev.JobStarted(job=3, command="make", pid=1, start_time="0", boot_id="b", folder="f"), 1, 1)
    wait = told.add(ev.ActionStarted(call_id="d", name="wait", arguments={"job": 3}), 2, 1)
    book = EntryBook()
    book.add(told.events)
    assert book.note_line(3, "cc main.c") == {run.seq, wait.seq}
    for seq in (run.seq, wait.seq):
        entry = book.entry(seq)
        assert entry is not None
        assert (entry.job, entry.tail) == (3, "cc main.c")
        assert [text_of(row).strip() for row in rows_of(entry, 60, gutter=5, compact=True)][1] == "└ cc main.c"
    ended = told.add(ev.JobEnded(job=3, exit_code=2, last_line="no rule"))
    assert book.add([ended]) == {run.seq}
    entry = book.entry(run.seq)
    assert entry is not None
    assert entry.tail == "no rule"
    assert entry.since is None, "its command does not run any more"
