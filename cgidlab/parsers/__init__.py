"""One module a format: bytes or a path in, frozen values out. No module here knows another."""
