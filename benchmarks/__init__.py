"""Figures that are to be fast or small, each measured next to a peer or a limit. See docs/performance.md."""
