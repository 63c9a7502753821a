#!/usr/bin/env python3
"""Draws sections of a program's output as a terminal, in SVG. `make picture` uses it.

Usage: terminal_svg.py COMMAND SECTION... <output >picture.svg
A section begins with a line such as "3. Send the same request again" and is named by its number.
"""

import re
import sys
from html import escape

COLUMNS, LINE, FONT = 100, 18, 13
HEADING = re.compile(r"(\d+)\. ")


def sections(output):
    """The lines of each section, by its number. What follows the last one's blank line and is no section is dropped."""
    found, number = {}, None
    for line in output.splitlines():
        line = re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip()
        heading = HEADING.match(line)
        if heading:
            number = heading.group(1)
        elif re.match(r"Where to look next", line):
            number = None
        if number:
            found.setdefault(number, []).append(line)
    return found


def draw(lines):
    """The lines as a picture: prompts and headings stand out, long lines are cut."""
    width, height = COLUMNS * 8 + 24, len(lines) * LINE + 28
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    yield f' font-family="ui-monospace, monospace" font-size="{FONT}" fill="#d8dee9" xml:space="preserve">'
    yield f'<rect width="{width}" height="{height}" rx="8" fill="#1e2430"/>'
    for row, line in enumerate(lines):
        if len(line) > COLUMNS:
            line = line[: COLUMNS - 1] + "…"
        color = ' fill="#88c0d0"' if line.startswith("$ ") else ' fill="#ebcb8b"' if HEADING.match(line) else ""
        yield f'<text x="12" y="{26 + row * LINE}"{color}>{escape(line)}</text>'
    yield "</svg>"


def main():
    command, *wanted = sys.argv[1:]
    found = sections(sys.stdin.read())
    missing = [number for number in wanted if number not in found]
    if missing:
        sys.exit(f"terminal_svg: no section {', '.join(missing)} in the output")
    lines = [f"$ {command}"]
    for number in wanted:
        lines += ["", *found[number]]
        while not lines[-1]:
            lines.pop()
    print("\n".join(draw(lines)))


main()
