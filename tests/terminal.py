"""A terminal's screen, made of what is written to it."""

from __future__ import annotations

import io
import re

_TOKENS = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[\?\d+[hl]|([\r\n])|([^\x1b\r\n]+)")


class Terminal(io.StringIO):
    """Says that it is a terminal, and understands what the status line sends: returns, erased lines, moves up."""

    def isatty(self) -> bool:
        return True

    def shown(self) -> list[str]:
        """The lines on the screen, without empty ones at the end."""
        lines, row, column = [""], 0, 0
        for number, command, control, text in _TOKENS.findall(self.getvalue()):
            if command == "A":
                row = max(row - int(number or 1), 0)
            elif command == "K":
                lines[row] = ""
            elif control == "\r":
                column = 0
            elif control == "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            elif text:
                lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
                column += len(text)
        while lines and not lines[-1]:
            lines.pop()
        return [line.rstrip() for line in lines]
