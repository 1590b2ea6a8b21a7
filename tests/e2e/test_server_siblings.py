"""Servers as they are: the tables of tests/cases/models/siblings.py, each case a session of the real agent loop."""

from __future__ import annotations

from typing import Any

import pytest
from server_cases import (
    RUN,
    TWO,
    Expected,
    Played,
    Table,
    assert_comes_to,
    call,
    load,
    malformed,
    no_reply,
    play_once,
    unknown,
)

BOTH = Expected(calls=(RUN, TWO))
DOWN = "the engine is down"
SAID = "Hm."
SILENT: dict[str, Any] = {"calls": (), "finish": "stop"}
AT_LIMIT: dict[str, Any] = {"calls": (), "finish": "length", "spec": {"max_output_tokens": 20}}
LONG = "one two three " * 6
CUT_CALL = '{"command": "echo ' + "x" * 80
TOO_LONG = "prompt is too long"
HATED = "the content was rejected by the filter"


def all_of(names: str, expected: Expected) -> dict[str, Expected]:
    return dict.fromkeys(names.split(), expected)


ERRORS: dict[str, Expected] = {
    **all_of(
        "err-true err-errors-text err-errors-object err-xml err-stream-errors err-stream-choice "
        "err-stream-delta err-stream-exception err-stream-list err-stream-comment-words",
        no_reply("server", DOWN, tries=3),
    ),
    **all_of("err-stream-comment err-stream-json-in-words", no_reply("overloaded", DOWN, tries=3)),
    "err-false-success": no_reply("fatal", "Authentication error"),
    "err-capital-message": no_reply("fatal", "not authorized to use this model"),
    "err-dashscope": no_reply("fatal", "Invalid API-key provided"),
    "err-dashscope-arrears": no_reply("fatal", "good standing"),
    "err-qianfan": no_reply("rate_limit", "request limit reached", tries=3),
    "err-minimax": no_reply("fatal", "insufficient balance"),
    "err-minimax-rate": no_reply("rate_limit", "rate limit", tries=3),
    "err-hunyuan": no_reply("fatal", "资源包余量已用尽"),
    "err-gemini-list": no_reply("context", "input token count", need="context"),
    "err-no-words": no_reply("overloaded", "overloaded_error", tries=3),
    "err-detail-list": no_reply("server", "body.messages.1: field required", tries=3),
    "err-zhipu-long": no_reply("context", "超长", need="context"),
    "err-zhipu-locked": no_reply("fatal", "账户已被锁定"),
    "err-plain": no_reply("server", "upstream connect error", tries=3),
    "err-plain-arrears": no_reply("fatal", "insufficient balance"),
    "err-plain-long": no_reply("context", "Input is too long", need="context"),
    **all_of("err-page err-page-as-stream", no_reply("server", "502 Bad Gateway", tries=3)),
    "err-stream-words": no_reply("fatal", "insufficient balance"),
    "err-stream-long-words": no_reply("context", TOO_LONG, need="context"),
    "err-stream-string": no_reply("fatal", "insufficient_quota"),
    "err-stream-openrouter-key": no_reply("fatal", "requires more credits"),
    "err-502-page": no_reply("server", "502 Bad Gateway", tries=3),
    "err-503-date": no_reply("overloaded", "down for maintenance", tries=3),
    **all_of("err-429-date err-429-iso err-429-odd", no_reply("rate_limit", "slow down", tries=3)),
    "err-429-moonshot": no_reply("fatal", "is suspended"),
    "err-429-free": no_reply("fatal", "免费额度已用完"),
    "err-429-gemini": no_reply("rate_limit", "retry in 34.07s", tries=3),
    "err-413-page": no_reply("context", "413 Request Entity Too Large", need="context"),
    "err-500-long": no_reply("context", "exceeds the context length", need="context"),
    "err-422-tgi": no_reply("context", "max_new_tokens", need="context"),
    "err-400-arrears": no_reply("fatal", "good standing"),
    "err-400-gemini-key": no_reply("fatal", "API key not valid"),
    "err-400-empty": no_reply("fatal", "answered 400"),
    "err-520-page": no_reply("server", "520", tries=3),
    "err-409": no_reply("server", "the engine restarts", tries=3),
    "err-410": no_reply("fatal", "deprecated"),
    "err-204": no_reply("cut", "broke off before its end", tries=3),
}

OPENAI: dict[str, Expected] = {
    **all_of(
        "id-number id-false id-object id-list id-unicode id-nul id-newline id-each-piece index-true index-float "
        "index-object index-counts-pieces name-each-no-id name-beside-arguments function-is-name "
        "args-empty-object-first args-object-first-empty call-said-again call-said-again-at-the-end "
        "message-said-again calls-as-object legacy-beside legacy-beside-pieces legacy-pieces legacy-name-each "
        "legacy-whole null-choice null-delta list-delta null-choices numbers-for-names model-surrogate finish-upper "
        "finish-dashes finish-token usage-after-done usage-after-done-open usage-known-then-null usage-first-then-zero "
        "usage-in-choice lines-crlf-split lines-cr lines-crlf-bom lines-no-blanks lines-no-space lines-named "
        "text-plain octet-stream json-label last-event-open deflate json-list junk-after-done success-words",
        Expected(),
    ),
    **all_of(
        "id-zero-twice id-spaces id-unicode-collide id-cleaned-collide id-surrogate id-is-name id-late index-negative "
        "index-null index-word index-gap index-interleaved index-one-for-all name-each-two",
        BOTH,
    ),
    **all_of("same-call-twice same-call-twice-no-ids", Expected(calls=(RUN, RUN))),
    "index-falls": Expected(calls=(RUN, TWO)),
    "name-surrogate": unknown("run\ufffd"),
    **all_of("name-never name-object", unknown("")),
    "args-surrogates-split": call('{"command": "echo 😀"}'),
    "args-list": malformed('["echo one"]'),
    "args-number": malformed("5"),
    "args-null": malformed(""),
    **all_of("empty-blocks empty-heads", Expected(**SILENT, text=SAID)),
    "legacy-object": call('{"command":"echo one"}'),
    **all_of("text-delta choices-object null-contents content-object", Expected(text=SAID)),
    "content-number": Expected(text="5"),
    "content-refusal-item": Expected(calls=(), finish="refusal", text="No."),
    **all_of("finish-unknown finish-object finish-surrogate", Expected(finish="other")),
    **all_of("finish-text-upper finish-complete", Expected(**SILENT, text=SAID)),
    "finish-length-upper": Expected(calls=(), finish="length", text=SAID),
    "finish-safety": Expected(calls=(), finish="refusal", text=SAID),
    "finish-each-chunk": Expected(**SILENT, text="abcdef"),
    **all_of("done-open pings-after-finish usage-list", Expected(usage=None)),
    "usage-half": Expected(usage=(1000, 0)),
    **all_of("usage-total-only usage-null-fields usage-nan", Expected(usage=(0, 0))),
    "usage-minus": Expected(usage=(0, 20)),
    "utf8-split": Expected(text="日本"),
    **all_of(
        "ping-objects-forever roles-forever names-forever usage-forever",
        no_reply("timeout", "no content came", tries=3),
    ),
    **all_of(
        "reason-object reason-list-field reason-content-list reason-item reason-item-own-name reason-item-summary "
        "reason-null-then reason-both-in-turn reason-details-and-text reason-details-summary reason-details-nulls "
        "reason-details-object reason-details-string reason-whole",
        Expected(reasoning="I think so."),
    ),
    "reason-details-encrypted": Expected(reasoning=""),
    "reason-tag-split": Expected(text="<think>I think so.</think>\n\nGo."),
    "reason-details-refused": Expected(
        reasoning="I think so.", failed=("fatal",), says="Invalid signature", requests=3, refusals=1
    ),
    "reason-signature-refused": Expected(failed=("fatal",), says="signature is not valid", requests=3, refusals=1),
    **all_of(
        "refused-reply refused-twice",
        Expected(failed=("fatal",), says=HATED, need="refused", refusals=1),
    ),
    "limit-closed-counted": Expected(**AT_LIMIT, text="one two three"),
    **all_of("limit-closed limit-stalled", Expected(**AT_LIMIT, text=LONG, usage=None)),
    "limit-closed-in-call": malformed(CUT_CALL, finish="length", usage=None, spec=AT_LIMIT["spec"]),
    "limit-closed-in-thought": Expected(**AT_LIMIT, reasoning=LONG, usage=None),
    "limit-done-counted": Expected(**AT_LIMIT, text="one two three"),
    **all_of("limit-done limit-empty-reason", Expected(**AT_LIMIT, text=LONG, usage=None)),
    "limit-done-in-call": malformed(CUT_CALL, finish="length", usage=None, spec=AT_LIMIT["spec"]),
    "limit-null-whole": Expected(**AT_LIMIT, text=LONG),
    "limit-not-reached": Expected(**{**AT_LIMIT, "finish": "other"}, text="one two three", usage=None),
    **ERRORS,
}  # fmt: skip

COUNTED = Expected(usage=(1234, 20))
A_BOTH = Expected(calls=(RUN, TWO), usage=(1234, 20))
REFUSED: dict[str, Any] = {"failed": ("fatal",), "requests": 3, "refusals": 1}
ANTHROPIC: dict[str, Expected] = {
    **all_of(
        "id-number id-object input-text input-null input-delta-null null-delta null-message stop-upper open-after-stop "
        "pings-after-delta usage-words usage-zeros-last usage-in-stop lines-crlf lines-cr-bom lines-no-blanks "
        "lines-no-names lines-names-only text-plain last-event-open done-mark",
        COUNTED,
    ),
    **all_of(
        "id-null-twice id-unicode-collide id-cleaned-collide id-surrogate id-spaces index-word index-null "
        "index-negative index-one-for-all index-interleaved",
        A_BOTH,
    ),
    "name-null": unknown("", usage=(1234, 20)),
    "name-surrogate": unknown("run\ufffd", usage=(1234, 20)),
    "input-list": malformed("{}", usage=(1234, 20)),
    "input-delta-object": call('{"command":"echo one"}', usage=(1234, 20)),
    "input-surrogates-split": call('{"command": "echo 😀"}', usage=(1234, 20)),
    **all_of("null-block null-text", Expected(text=SAID, usage=(1234, 20))),
    **all_of("stop-unknown stop-empty stop-object", Expected(finish="other", usage=(1234, 20))),
    "stop-late-text": Expected(**SILENT, text="ab", usage=(1234, 20)),
    **all_of(
        "pings-forever comments-forever empty-deltas-forever", no_reply("timeout", "no content came", tries=3)
    ),
    "usage-minus": Expected(usage=(0, 20)),
    "usage-list": Expected(usage=None),
    "whole": call('{"command":"echo one"}', usage=(1234, 20), reasoning="I think so."),
    "whole-as-sse": call('{"command":"echo one"}', usage=(1234, 20)),
    "whole-content-text": Expected(**SILENT, text=SAID, usage=(1234, 20)),
    **all_of("think-no-start think-signature-in-start", Expected(reasoning="I think so.", usage=(1234, 20))),
    "think-null-signature": Expected(**REFUSED, says="Invalid `signature`", reasoning="I think so.", usage=(1234, 20)),
    "think-redacted-refused": Expected(**REFUSED, says="Invalid `data`", reasoning="", usage=(1234, 20)),
    "think-foreign": Expected(**REFUSED, says="Invalid `signature`", reasoning="From another model.", usage=(1234, 20)),
    **all_of(
        "refused-reply refused-twice",
        Expected(failed=("fatal",), says=HATED, need="refused", refusals=1, usage=(1234, 20)),
    ),
    **all_of("limit-closed limit-stalled", Expected(**AT_LIMIT, text=LONG, usage=(1234, 0))),
    "limit-closed-in-call": malformed(CUT_CALL, finish="length", usage=(1234, 0), spec=AT_LIMIT["spec"]),
    # Its server wants no thinking back that it has not signed; that of the cut reply is left out, and it goes on.
    "limit-closed-in-thought": Expected(
        **AT_LIMIT, **REFUSED, says="Invalid `signature`", reasoning=LONG, usage=(1234, 0)
    ),
    "limit-stopped-counted": Expected(**AT_LIMIT, text="one two three", usage=(1234, 20)),
    "limit-stopped": Expected(**AT_LIMIT, text=LONG, usage=(1234, 0)),
    "limit-stopped-in-call": malformed(CUT_CALL, finish="length", usage=(1234, 0), spec=AT_LIMIT["spec"]),
    "limit-null-whole": Expected(**AT_LIMIT, text=LONG, usage=(1234, 0)),
    "limit-not-reached": Expected(**{**AT_LIMIT, "finish": "other"}, text="one two three", usage=(1234, 0)),
    **ERRORS,
}  # fmt: skip
TABLES: dict[str, Table] = {"openai": OPENAI, "anthropic": ANTHROPIC}
TABLE = [(provider, name) for provider, table in TABLES.items() for name in table]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Played]:
    return play_once(tmp_path_factory.getbasetemp(), "siblings", TABLES)


def test_the_tables_are_those_of_the_server() -> None:
    siblings, first = load("siblings"), load("fake_chat")
    assert set(OPENAI) == {*siblings.OPENAI, *siblings.ERRORS}
    assert set(ANTHROPIC) == {*siblings.ANTHROPIC, *siblings.ERRORS}
    assert all(first.calls_case(name) is None for name in OPENAI), "a sibling must not hide a case"
    assert all(first.anthropic_case(name, None) is None for name in ANTHROPIC)


@pytest.mark.parametrize(("provider", "name"), TABLE, ids=[f"{provider}-{name}" for provider, name in TABLE])
def test_a_sibling_of_a_case(played: dict[tuple[str, str], Played], provider: str, name: str) -> None:
    assert_comes_to(played[provider, name], TABLES[provider][name])
