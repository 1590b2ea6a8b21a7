"""Painters. They are given frozen data (``views``), post messages, and do no I/O. Foreign text passes ``sanitise``.

| module | public names |
|---|---|
| ``views`` | the frozen data: ``Entry``, ``SessionView``, ``FactsView``, ``HeaderView``, ``Choice``, ``ComposerTarget``, ``Anchor``, ``LiveReply`` |
| ``sanitise`` | ``clean(text)``, ``clean_line(text, limit)``: the one sanitiser |
| ``cells`` | ``width``, ``crop``, ``pad``, ``wrap`` in terminal cells |
| ``glyphs`` | ``state_mark``, ``outcome_mark``, ``KIND_GLYPHS``, ``duration``, ``count``, ``sparkline``: always glyph and word |
| ``paint`` | ``Painter`` (base of all line-API widgets), roles → styles, ``Painter.strip`` |
| ``moves`` | ``MOVES``: the movement bindings (ids ``move.*``) that every painter with a cursor shares |
| ``entries`` | ``EntryBook(full_text=None)``: ``add(events) -> set of changed seqs``, ``entry(seq)``, ``entries()``; ``entry_of(anchor, related)``; ``fold_polls(entries)`` |
| ``entry_document`` | ``document_of(entry) -> lines`` for the Action screen; ``diff_lines(text)`` |
| ``live`` | ``grow(live, step, attempt, index, channel, offset, text, name) -> LiveReply`` from frames |
| ``session_view`` | ``session_view(summary, now, unread, why) -> SessionView`` |
| ``wall`` | ``Wall``: all live panes. ``show(ids)``, ``set_session(view)``, ``put(session, entries)``, ``live(session, reply)``, ``flush(now)``, ``focus_pane(id)``, ``selected``, ``candidate(now)``, ``scroll_pages(id, n)``. Messages ``PaneFocused``, ``EntrySelected``, ``EntryOpened``, ``HistoryNeeded`` |
| ``session_list`` | ``SessionList``: ``update(views)``, ``reorder(ids)``, ``selected``. Messages ``Highlighted``, ``Chosen`` |
| ``transcript`` | ``Transcript``: ``append(anchors)``, ``supply(entries)``, ``reveal(seq)``, ``follow()``, ``keep(predicate)``, ``highlight(text)``, ``selected``. Messages ``EntriesNeeded``, ``EntrySelected``, ``EntryOpened``, ``FollowChanged`` |
| ``document`` | ``Document``: ``set_text(text)``, ``set_lines(lines)``, ``search(text)``, ``next_match(±1)``, ``chosen_text()`` |
| ``composer`` | ``Composer``: ``bind(target, draft, earlier)``, ``unbind()``, ``text``, ``progress(steps)``. Messages ``Submitted``, ``DraftChanged``, ``Left``, ``ScrollSession`` |
| ``header`` | ``TitleBar.update(HeaderView)`` |
| ``facts`` | ``FactsPanel.update(FactsView)`` |
| ``hints`` | ``HintBar.update(hints)``: at most seven |
| ``receipt`` | ``ReceiptLine.show(text, level)``: one line instead of toasts; never takes the focus |
| ``picker`` | ``ChoiceList``: ``update(choices)``; one key per choice. Messages ``Picked``, ``Highlighted``, ``Closed``; used by pickers, menus and panels |
| ``menu`` | ``Menu``: rows with a value that ``enter``/``left``/``right`` change. Message ``Changed``, ``Activated`` |
| ``panel`` | ``Panel``: a titled choice list (leaving, confirm) |
"""
