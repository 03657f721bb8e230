"""Plan → text. Pure: nothing here opens a file or decides anything."""

from __future__ import annotations

from stackctl.render.files import API_FILE, MODES, USERS_FILE, File, render

__all__ = ["API_FILE", "MODES", "USERS_FILE", "File", "render"]
