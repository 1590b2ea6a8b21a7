"""Painters: given frozen data (``views``), they post messages and do no I/O. Foreign text passes ``sanitise``.

Pure:
``views``           the frozen data that widgets are given: Entry, SessionView, FactsView, HeaderView, Choice, ...
``sanitise``        clean(text), clean_line(text, limit), last_line(text): the one sanitiser
``cells``           width, crop, pad, wrap in terminal cells
``glyphs``          state_mark, outcome_mark, duration, clock, age, count, money, sparkline: always glyph and word
``calls``           a tool call in one line
``entries``         EntryBook: add(events) -> changed seqs, entry(seq), entries(), forget(before); entry_of; fold_polls
``entry_kinds``     one builder per kind of entry; diff_lines, lines_of
``live``            grow(live, step=, attempt=, index=, channel=, offset=, text=, name=) -> LiveReply
``session_view``    session_view(summary, now, unread=, why=) -> SessionView
``rows``            an entry as rows of a given width
``viewport``        places over items of unknown height; ``reading`` adds following, anchoring and new counts
``pane``            the state of one live pane; ``pane_title`` its first row
``search``          where a search text stands in a line
``regions``         where the panes of a wall stand

Widgets:
``paint``           Painter: the base of all line-API widgets; roles become styles
``moves``           MOVES: the movement bindings (ids ``move.*``) that painters with a cursor share
``wall``            Wall: all live panes in one widget
                    show(ids), set_session(view), put(session, entries), live(session, reply), flush(now),
                    focus_pane(id), focused_session, selected, select(session, seq), candidate(session),
                    scroll_pages(session, n); messages PaneFocused, EntrySelected, EntryOpened, HistoryNeeded
``session_list``    SessionList: update(views), reorder(ids), selected, select(id); messages Highlighted, Chosen
``transcript``      Transcript: append(anchors), supply(entries), reveal(seq), follow(), keep(predicate),
                    highlight(text), selected, toggle(); messages EntriesNeeded, EntrySelected, EntryOpened, ...
``document``        Document: set_text(text), set_lines(lines), search(text), next_match(1), chosen_text()
``composer``        Composer: bind(target, draft=, earlier=), unbind(), text, progress(steps);
                    messages Submitted, DraftChanged, Left, ScrollSession
``header``          TitleBar: update(HeaderView)
``facts``           FactsPanel: update(FactsView)
``hints``           HintBar: update(hints), at most seven
``receipt``         ReceiptLine: show(text, level): one line instead of toasts; never takes the focus
``picker``          ChoiceList: update(choices): one key per choice; messages Picked, Highlighted
``menu``            Menu: a ChoiceList whose rows have values; messages Changed, Activated
"""
