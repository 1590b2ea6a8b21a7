"""Share of hidden checks that pass; the last line is the score."""

import os
import sys

sys.path.insert(0, os.environ.get("APOLLO_WORKSPACE", "."))
import textkit

CHECKS = (
    lambda: textkit.count_words(" a \t b\n\nc ") == 3,
    lambda: textkit.longest_line("") == "",
    lambda: textkit.longest_line("x\nyyy\nzz") == "yyy",
    lambda: textkit.title_case("the McCabe number") == "The McCabe Number",
    lambda: textkit.wrap("alpha beta gamma", 11) == ["alpha beta", "gamma"],
)
passed = 0
for check in CHECKS:
    try:
        passed += bool(check())
    except Exception as error:
        print(f"a check raised {error!r}")
print(f"{passed} of {len(CHECKS)} checks pass")
print(passed / len(CHECKS))
