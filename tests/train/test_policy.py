from __future__ import annotations

from pathlib import Path

import pytest

from apollo_train.policy import PRESETS, BadPolicy, FilterPolicy, load_policy, parse_policy, policy_toml


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_survives_its_own_toml(name: str) -> None:
    policy = load_policy(name)
    again = parse_policy(policy_toml(policy))
    assert again == policy
    assert again.digest == policy.digest


def test_what_a_file_leaves_out_has_the_default_or_comes_from_its_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('version = 1\npreset = "strict"\nname = "mine"\n[flags]\nconflict = "mask"\n')
    policy = load_policy(file)
    assert (policy.name, policy.flags.conflict) == ("mine", "mask")
    assert policy.flags.propagation == PRESETS["strict"].flags.propagation
    assert parse_policy("version = 1") == FilterPolicy()


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
