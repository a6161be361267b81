"""JSON Lines: one object a line."""

from sampling.intake.sources.files import FileSource
from sampling.intake.sources.rows import ROW_CHARACTERS, bad_row, ends_cut, row_of_json
from sampling.json_lines import NOT_JSON, bounded_lines


class JsonLines(FileSource):
    """A blank line is a bad row, so that rows are numbered as an editor does; those at the very end are ignored."""

    def _rows(self, stream, file, start):
        last = 0  # the last line that was not blank
        for number, raw, is_whole in bounded_lines(file, ROW_CHARACTERS):
            if is_whole and not raw.strip():
                stream.row_began()
                continue
            for blank in range(max(last, start) + 1, number):
                yield bad_row(blank, "The line is empty.")
            is_cut = bool(stream.problem) and not file.peek(1)  # the last line that there is of a damaged file
            if number <= start and not is_cut:
                last = number
                stream.row_began()
                continue
            row = row_of_json(number, raw, is_whole=is_whole)
            if row.row is None and is_cut:
                yield from self._ends(stream, number - 1, start, row.content)
                return
            last = number
            if row.row is None and _is_begun(raw, row.problem) and not stream.ended_a_line and not file.peek(1):
                self.broke_off = ends_cut(number)
            if number > start:
                yield row
        yield from self._ends(stream, last, start)


def _is_begun(raw: bytes, problem: str) -> bool:
    """Whether a line that is no row is the beginning of one."""
    return raw.lstrip()[:1] == b"{" and (problem.startswith(NOT_JSON) or not raw.rstrip().endswith(b"}"))
