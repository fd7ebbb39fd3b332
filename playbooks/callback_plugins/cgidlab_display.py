"""Lets Ansible show bytes that are no text in time: its own handler takes 60 us for a few of them, a minute for 3 MB.

A host that answers with such bytes would keep a run for minutes, a task at a time.
"""

from __future__ import annotations

import codecs

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: cgidlab_display
type: aggregate
short_description: Replace what is no text without a warning for each byte
description:
  - Puts Python's own C(replace) in the place of Ansible's handler for text that cannot be encoded.
author:
  - cgidlab
"""

_ANSIBLES = "_replacing_warning_handler"  # as ansible.utils.display registers it


class CallbackModule(CallbackBase):
    """Hears nothing; to be loaded is all it does."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "cgidlab_display"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self, display: object = None, options: object = None) -> None:
        super().__init__(display, options)
        codecs.register_error(_ANSIBLES, codecs.lookup_error("replace"))
