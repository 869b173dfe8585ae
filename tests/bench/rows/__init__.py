# SPDX-License-Identifier: Apache-2.0
"""All rows, by group, in the order in which they are measured. A group is a file; what its rows share (nodes, JVMs) lives
until the group is done. Adding a row is adding an entry to ROWS of its file."""

from . import channel, detect, front, idle, memory, scaling, sessions, transfer

FILES = (channel, front, sessions, memory, transfer, idle, detect, scaling)
GROUPS = {module.__name__.rsplit('.', 1)[1]: module.ROWS for module in FILES}
