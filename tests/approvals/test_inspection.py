"""What the detectors look at, and how text is shown."""

from __future__ import annotations

from approvals.inspection import inspect_all, reveal, strings_in


def test_every_string_of_a_value_is_looked_at_keys_included() -> None:
    value = {"a\u200b": [{"b": "x\u202ey"}], "n": 1, "none": None}

    assert inspect_all(strings_in(value)) == ("bidi", "invisible")


def test_what_cannot_be_seen_is_written_out() -> None:
    shown = reveal("a\u202eb\u200bc\x07" + "\n" * 9 + "end")

    assert shown == "a[U+202E]b[U+200B]c[U+0007]\n[9 line breaks]\nend"


def test_blank_lines_are_announced_where_they_stand() -> None:
    wall = " \n" * 5

    assert reveal(f"{wall}top{wall}\tbottom") == "\n[5 line breaks]\ntop\n[5 line breaks]\n\tbottom"
    assert reveal("a\n\n\nb \n c") == "a\n\n\nb \n c"
    assert reveal("\n" * 4) == "\n[4 line breaks]\n"
    assert reveal("a\r\n\r\n\r\n\r\nb") == "a\n[4 line breaks]\nb"


def test_what_a_writing_system_needs_is_shown_as_it_is() -> None:
    ordinary = "\u06a9\u062a\u0627\u0628\u200c\u0647\u0627 👩\u200d💻 ❤\ufe0f de\u00adlayed"

    assert reveal(ordinary) == ordinary
    assert reveal("pay\u200cpal 👩\u200d") == "pay[U+200C]pal 👩[U+200D]"
