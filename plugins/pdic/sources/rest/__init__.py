"""Feeds over HTTP: records with key, event, version and time, page by page, landed before they are read.

endpoint   where, and how to prove who asks            paging    which page next, and whether all have come
watchdog   the time one exchange may take              landing   replies as they came → the typed batch table
session    a whole reply or a clear error              capture   one load of one feed
page       a reply, proven to be the page asked for   order     a feed's order in the warehouse
late       records behind the cursor, found by counting
"""

from pdic.sources.rest.capture import capture, count_rows
from pdic.sources.rest.order import is_after

__all__ = ["capture", "count_rows", "is_after"]
