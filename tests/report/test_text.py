from __future__ import annotations

import re

from suite.report.text import anchor, clean, command_line, first_of, last_lines, shorten


def test_what_no_page_can_hold_is_replaced_and_what_turns_text_is_dropped() -> None:
    assert clean("a\x00b\x1b[31mred\x1b[0m\ud800") == "a�bred�"
    assert clean("left\u202eright\u200f\u2066") == "leftright"
    assert clean("naïve ✓ 日本\tx\n") == "naïve ✓ 日本\tx\n"


def test_shortening_marks_the_cut_and_keeps_one_line() -> None:
    assert shorten(" one\n\u2028 two\t", 20) == "one two"
    assert shorten("x" * 50, 10) == "x" * 9 + "…"
    assert len(shorten("x" * 10**6, 100)) == 100


def test_shortening_keeps_a_number_and_its_unit_on_one_line() -> None:
    assert shorten("12.3\u00a0ms  [12.1,\u00a012.5]", 40) == "12.3\u00a0ms [12.1,\u00a012.5]"


def test_only_the_end_of_a_log_is_shown() -> None:
    log = "\n".join(f"line {n}" for n in range(10_000))
    shown = last_lines(log)
    assert shown.splitlines() == [f"line {n}" for n in range(9980, 10_000)]
    assert len(last_lines("y" * 10**6)) == 200


def test_anchors_are_readable_unique_and_plain() -> None:
    assert anchor("gpt", "bf16") == "cell--gpt--bf16"
    assert anchor("gpt-fp16", "static") != anchor("gpt", "fp16-static")
    odd = [
        anchor("a-", "b"),
        anchor("a", "-b"),
        anchor("a--b"),
        anchor("a b", "c"),
        anchor("a-b", "c"),
        anchor("a_b", "c"),
        anchor("<a>", "c"),
        anchor("n" * 5000, "c"),
    ]
    assert len(set(odd)) == len(odd)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name) for name in odd)


def test_commands_are_quoted() -> None:
    assert command_line(["ampmark", "--workload", "a; rm b"]) == "ampmark --workload 'a; rm b'"


def test_long_lists_say_how_many_are_left() -> None:
    assert first_of(["a", "b"]) == "a, b"
    assert first_of(list("abcdef"), most=2) == "a, b and 4 more"
