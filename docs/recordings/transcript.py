#!/usr/bin/env python3
"""Replaces the transcript in a Markdown page by the text of a recording.

Usage: transcript.py RECORDING.cast PAGE.md
The format of recordings: https://docs.asciinema.org/manual/asciicast/v2/
"""

import json
import re
import sys

recording, page = sys.argv[1:]
with open(recording) as lines:
    next(lines)  # the header
    events = [json.loads(line) for line in lines]
text = "".join(data for _, kind, data in events if kind == "o")
text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "").replace("\a", "")
lines = [line.rstrip() for line in text.strip().splitlines()]
with open(page) as file:
    before, _, _ = file.read().partition("```console\n")
with open(page, "w") as file:
    file.write(before + "```console\n" + "\n".join(lines) + "\n```\n")
