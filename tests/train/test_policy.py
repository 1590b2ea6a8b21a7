from __future__ import annotations

from pathlib import Path

import pytest

from apollo_train.policy import (
    PRESETS,
    PRESETS_OF_1,
    BadPolicy,
    FilterPolicy,
    load_policy,
    parse_policy,
    policy_toml,
    version_note,
)


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_survives_its_own_toml(name: str) -> None:
    policy = load_policy(name)
    again = parse_policy(policy_toml(policy))
    assert again == policy
    assert again.digest == policy.digest


def test_what_a_file_leaves_out_has_the_default_or_comes_from_its_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('version = 2\npreset = "strict"\nname = "mine"\n[flags]\nconflict = "mask"\n')
    policy = load_policy(file)
    assert (policy.name, policy.flags.conflict) == ("mine", "mask")
    assert policy.flags.propagation == PRESETS["strict"].flags.propagation
    assert parse_policy("version = 2") == FilterPolicy()


def test_presets_differ_and_a_name_alone_changes_the_digest() -> None:
    assert len({policy.digest for policy in PRESETS.values()}) == len(PRESETS)
    assert FilterPolicy(name="other").digest != FilterPolicy().digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a =", "p.toml: not TOML"),
        ("name = 'x'", "p.toml: version: missing"),
        ("version = 9", "p.toml: version: 9 is not known here"),
        ("version = 1\npreset = 'no'", "p.toml: preset: 'no' is none of default"),
        ("version = 1\npreset = ['strict']", "p.toml: preset: ['strict'] is none of default"),
        ("version = 1\n[flag]", "p.toml: top level: there is no key 'flag': did you mean flags?"),
        (
            "version = 1\n[flags]\nconflcit = 'mask'",
            "p.toml: flags: there is no key 'conflcit': did you mean conflict?",
        ),
        (
            "version = 1\n[flags]\nconflict = 'x'",
            "p.toml: flags.conflict: there is no 'x': choose one of mask, exclude",
        ),
        ("version = 1\n[flags]\nconflict = 'adjudicated'", "p.toml: flags.adjudicators: name who decides"),
        (
            "version = 1\n[advice]\nstop = 'maybe'",
            "p.toml: advice.stop: there is no 'maybe': choose one of kept, dropped, both",
        ),
        (
            "version = 1\n[sessions]\nstates = ['done']",
            "p.toml: sessions.states[0]: there is no 'done': choose one of created, ",
        ),
        ("version = 1\n[sessions]\ncreated_from = 'May'", "p.toml: sessions.created_from: 'May' is no date"),
        ("version = 1\n[split]\ntest = 2", "p.toml: split.test: Expected `float` <= 1.0"),
        ("version = 1\n[split]\ntest = 0.6\nvalidation = 0.6", "p.toml: split: validation and test are more"),
        ("version = 1\n[rules]\nmalformed = 'yes'", "p.toml: rules.malformed: Expected `bool`, got `str`"),
        (
            "version = 1\n[sessions]\ncreated_from = '2026-11-23'\ncreated_to = '2026-11-22'",
            "p.toml: sessions.created_to: 2026-11-22 is before",
        ),
        ("version = 1\nprest = 'strict'", "p.toml: top level: there is no key 'prest': did you mean preset?"),
        (
            "version = 1\n[sessions]\nsign_off = ['goood']",
            "p.toml: sessions.sign_off[0]: there is no 'goood': did you mean",
        ),
        (
            "version = 1\n[sessions]\ncreated_from = 2026-11-22",
            "p.toml: sessions.created_from: a date stands in quotes",
        ),
        ("version = 1\n[sessions]\nmin_score = nan", "p.toml: sessions.min_score: nan is no finite number"),
        ("version = 1\n[flags]\nmin_severity = 9", "p.toml: flags.min_severity: Expected `int` <= 5"),
        ("a = " + "[" * 100_000, "p.toml: not TOML of a policy: nested too deeply"),
        ("version = true", "p.toml: version: True is not known"),
        ("version = 1\n[advice]\nhere = 'keep'", "p.toml: advice.here: version 1 has no such key"),
        ("version = 1\n[targets]\ntrainable = ['glm-*']", "p.toml: targets.trainable: version 1 has no such key"),
        (
            "version = 2\n[flags]\nscope = 'reasoning'",
            "p.toml: flags.scope: there is no 'reasoning': choose one of message, call, or write `version = 1`",
        ),
        (
            "version = 2\n[flags]\nscope = 'word'",
            "p.toml: flags.scope: there is no 'word': choose one of message, call",
        ),
        ("version = 1\n[weights]\nsession_cap = -1", "p.toml: weights.session_cap: Expected `int` >= 0"),
    ],
)
def test_a_bad_policy_is_one_line_with_the_path_of_the_key(text: str, said: str) -> None:
    with pytest.raises(BadPolicy) as problem:
        parse_policy(text, "p.toml")
    assert str(problem.value).startswith(said)
    assert "\n" not in str(problem.value)


def test_a_policy_that_is_neither_a_preset_nor_a_file(tmp_path: Path) -> None:
    with pytest.raises(BadPolicy, match=r"no preset .* and no file that can be read: No such file or directory$"):
        load_policy("strictt")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadPolicy, match="no file that can be read"):
        load_policy(tmp_path / "bytes.toml")


def test_a_policy_says_what_becomes_of_advice_or_leaves_it_open_and_version_1_never_does() -> None:
    assert [name for name, policy in PRESETS.items() if not policy.advice.is_open] == ["unaided", "twins"]
    assert not any(policy.advice.is_open for policy in PRESETS_OF_1.values())
    some = parse_policy('version = 2\n[advice]\nknowledge = "dropped"')
    assert (some.advice.knowledge, some.advice.other) == ("dropped", "kept")
    assert PRESETS["strict"].with_advice("both").advice.modes == {"both"}


def test_a_policy_of_version_1_is_said_to_be_one_in_one_line() -> None:
    old = parse_policy('version = 1\nname = "mine"')
    assert old.flags.scope == "format" and "trainable" not in str(old.plain()) and "here" not in str(old.plain())
    assert version_note(old).startswith("policy 'mine' has version 1 and means what that meant; docs/training.md")
    assert version_note(FilterPolicy()) == ""
    assert parse_policy(policy_toml(old)) == old
