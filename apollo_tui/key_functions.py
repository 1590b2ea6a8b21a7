"""What each key of the table ``apollo_tui.keys`` does, by its id.

Loaded once the first screen stands: no key is pressed before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from apollo_tui.context import View
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.key_acts import (
    advice,
    attention,
    board_list,
    control,
    files,
    judgement,
    movement,
    output,
    search,
    undo,
)

if TYPE_CHECKING:
    from apollo_tui.screens.action import ActionScreen
    from apollo_tui.screens.compare import CompareScreen
    from apollo_tui.screens.export import ExportScreen
    from apollo_tui.screens.new_session import NewSessionScreen
    from apollo_tui.screens.review import ReviewScreen
    from apollo_tui.screens.session import SessionScreen


def toggle_outline(screen: SessionScreen) -> None:
    """The outline of the transcript, or everything again."""
    screen.filter.toggle_outline()


def choose_filter(screen: SessionScreen) -> None:
    """Choose what of the transcript is shown."""
    screen.filter.choose()


def toggle_training(screen: SessionScreen) -> None:
    """Training view on or off."""
    screen.training.toggle()


def skip_item(screen: ReviewScreen) -> None:
    """Not now, and not again: the next one."""
    screen.skip()


def choose_items(screen: ReviewScreen) -> None:
    """Choose what is reviewed."""
    screen.choose_filter()


def open_item(screen: ReviewScreen) -> None:
    """The item in its session."""
    screen.open_there()


def toggle_written(screen: ActionScreen) -> None:
    """The text as it was written, or rendered again."""
    screen.toggle_written()


def toggle_chosen(screen: ExportScreen) -> None:
    """Choose or drop the session under the cursor."""
    screen.toggle_chosen()


def choose_all(screen: ExportScreen) -> None:
    """Choose all sessions."""
    screen.choose_all()


def choose_some(screen: ExportScreen) -> None:
    """Choose sessions by words."""
    screen.choose_some()


def choose_none(screen: ExportScreen) -> None:
    """Drop all sessions."""
    screen.choose_none()


def ask_path(screen: ExportScreen) -> None:
    """Ask where to write."""
    screen.ask_path()


def write_export(screen: ExportScreen) -> None:
    """Write the file."""
    screen.write()


def create_session(screen: NewSessionScreen) -> None:
    """Create the session of the form."""
    screen.create_session()


def create_anyway(screen: NewSessionScreen) -> None:
    """Create it although its model did not answer."""
    screen.create_anyway()


def left_is_better(screen: CompareScreen) -> None:
    """The left session is better."""
    screen.prefer("left")


def right_is_better(screen: CompareScreen) -> None:
    """The right session is better."""
    screen.prefer("right")


def both_are_equal(screen: CompareScreen) -> None:
    """Neither session is better."""
    screen.prefer("equal")


def undo_word(screen: CompareScreen) -> None:
    """Take the last word on two sessions back."""
    screen.undo_word()


def follow_output(screen: ApolloScreen) -> None:
    """What a command prints, as it comes; there, on the whole screen or below the view."""
    if isinstance(screen, output.LiveOutput):
        screen.toggle_whole()
    elif isinstance(screen, View):
        output.follow_output(screen)


def advise(screen: ApolloScreen) -> None:
    """Write to the session; from its output, on the view that is left for it."""
    if isinstance(screen, output.LiveOutput):
        screen.advise()
    elif isinstance(screen, View):
        advice.advise(screen)


KEY_ACTS: Final[Mapping[str, Callable[..., None]]] = {
    # moving
    "next_pane": movement.next_pane,
    "previous_pane": movement.previous_pane,
    "number": movement.press_number,
    "goto": movement.ask_number,
    "back": movement.go_back,
    "jump_back": movement.jump_back,
    "follow": movement.toggle_follow,
    "previous_action": movement.previous_action,
    "next_action": movement.next_action,
    "open_there": open_item,
    # where to look
    "next_need": attention.next_need,
    "snooze": attention.snooze,
    "signal_done": attention.signal_done,
    "false_alarm": attention.false_alarm,
    "output": follow_output,
    "copy_line": output.copy_line,
    "by_attention": BoardScreen.turn_order,
    "group": BoardScreen.toggle_groups,
    "panes": BoardScreen.ask_panes,
    "sub_agents": movement.show_relatives,
    "outline": toggle_outline,
    "filter": choose_filter,
    "filter_items": choose_items,
    "workspace": files.open_workspace,
    # the workspace
    "files_changed": files.show_changed,
    "files_since_left": files.show_since_left,
    "files_all": files.show_all,
    "files_of_step": files.show_of_step,
    "diff_beginning": files.diff_to_beginning,
    "diff_last_look": files.diff_to_last_look,
    "copy_path": files.copy_path,
    "page_file": files.page_file,
    "go_to_author": files.go_to_author,
    "shell": files.open_shell,
    "read_again": files.read_again,
    # advice
    "advise": advise,
    "mark_session": BoardScreen.mark_session,
    "act_on_marked": board_list.act_on_marked,
    "advise_marked": advice.advise_marked,
    "answer": advice.answer,
    # judgement
    "flag": judgement.flag,
    "label": judgement.label,
    "repeat_label": judgement.repeat_label,
    "good": judgement.good,
    "unsure": judgement.unsure,
    "correct": advice.correct,
    "begin_span": judgement.begin_span,
    "this_loop": judgement.this_loop,
    "recovery": judgement.mark_recovery,
    "sign_off": judgement.sign_off_session,
    "bookmark": judgement.bookmark,
    "bookmarks": judgement.list_bookmarks,
    "review": judgement.open_review,
    "skip": skip_item,
    "compare": judgement.compare_sessions,
    "left_better": left_is_better,
    "right_better": right_is_better,
    "equally_good": both_are_equal,
    "undo_word": undo_word,
    "undo": undo.undo,
    "redo": undo.redo,
    "history": undo.list_history,
    # control
    "pause": control.pause,
    "hold": control.hold,
    "conversations": control.list_conversations,
    "interrupt": control.interrupt,
    "new": control.open_new_session,
    # finding and taking along
    "search": movement.search,
    "only": board_list.find_sessions,
    "next_match": movement.next_match,
    "previous_match": movement.previous_match,
    "copy": search.copy,
    "pager": search.open_pager,
    "written": toggle_written,
    "training": toggle_training,
    "find": search.find,
    "export": search.open_export,
    # the app
    "command": movement.open_commands,
    "help": movement.open_help,
    "leave": movement.leave,
    # the export menu and forms
    "mark": toggle_chosen,
    "mark_all": choose_all,
    "mark_some": choose_some,
    "mark_none": choose_none,
    "write": write_export,
    "export_path": ask_path,
    "create": create_session,
    "create_anyway": create_anyway,
}
"""What a key of the table does, by its id. The first argument is the screen on top, as the function names it; what a
painter does with its movements (``move.…``) is its own business."""
