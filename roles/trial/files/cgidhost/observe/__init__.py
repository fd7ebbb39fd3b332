"""Watches httpd instances that are not ours: reads only, and leaves nothing but a directory that is removed."""
