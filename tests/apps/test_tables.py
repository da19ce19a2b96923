"""What a command leaves of its table."""

import json

from askagain.apps.report import write_table


def test_a_table_is_printed_as_it_stands_and_written_as_markdown_and_json(tmp_path, capsys):
    headings, rows = ("ranker", "p"), [("[red]mine", "0.0150"), ("v1.5", "")]
    write_table(tmp_path / "v1.5" / "board", headings, rows, {"processor": "some"}, {"rankers": [1, 2]})
    printed = capsys.readouterr().out
    assert "[red]mine" in printed and "processor: some" in printed  # markup in a name is text
    assert (tmp_path / "v1.5" / "board.md").read_text() == (
        "| ranker | p |\n| --- | --- |\n| [red]mine | 0.0150 |\n| v1.5 |  |\n\n- processor: some\n"
    )
    written = json.loads((tmp_path / "v1.5" / "board.json").read_text())
    assert written == {"about": {"processor": "some"}, "rankers": [1, 2]}
    assert all(str(tmp_path / "v1.5" / f"board.{end}") in printed.replace("\n", "") for end in ("json", "md"))
