"""cgidlab: experiments on Apache httpd's mod_cgid that end in a verdict."""

__version__ = "0.1.0"
