"""`runner.py completion`: print what has a shell complete verbs, options, their choices and files."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from cgidlab.commands import options

# bash looks for a command's own completion under its last part, so that ./runner.py has that of runner.py.
_NAMES = ("runner.py", "cgidlab")
_BASH = """\
_cgidlab() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} verb=run known word_before
    for word_before in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case " {verbs} " in *" $word_before "*) verb=$word_before; break ;; esac
    done
    COMPREPLY=()
    case "$verb $before" in
{choices}
    esac
    case $verb in
{known}
    esac
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$known" -- "$word"))
    else
        [[ $COMP_CWORD == 1 ]] && COMPREPLY=($(compgen -W "help {verbs}" -- "$word"))
        COMPREPLY+=($(compgen -f -- "$word"))
    fi
}}
complete -o filenames -F _cgidlab {names}
"""
_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def register(verbs: options.Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "completion",
        help="print what has a shell complete verbs, options and files",
        description="For bash: source <(./runner.py completion bash), in ~/.bashrc with the project's path for good; "
        "for zsh the same with zsh.",
    )
    parser.add_argument("shell", choices=("bash", "zsh"), metavar="SHELL", help="bash or zsh")
    parser.set_defaults(run=partial(run, verbs))


def run(verbs: options.Verbs, args: argparse.Namespace) -> int:
    """Print the shell's function. By now all verbs have registered."""
    print(script(verbs.choices, args.shell), end="")
    return 0


def script(verbs: Mapping[str, argparse.ArgumentParser], shell: str) -> str:
    """Return the function of a shell that completes these verbs."""
    choices, known = [], []
    for verb, parser in verbs.items():
        actions = parser._actions  # noqa: SLF001 -- argparse has no other way to ask for its options
        words = [word for action in actions for word in action.option_strings]
        known.append(f"        {verb}) known={shlex.quote(' '.join(words))} ;;")
        for action in actions:
            if action.choices and action.option_strings:
                pattern = "|".join(f'"{verb} {word}"' for word in action.option_strings)
                values = shlex.quote(" ".join(map(str, action.choices)))
                choices.append(f'        {pattern}) COMPREPLY=($(compgen -W {values} -- "$word")); return ;;')
    text = _BASH.format(
        verbs=" ".join(verbs), choices="\n".join(choices), known="\n".join(known), names=" ".join(_NAMES)
    )
    return (_ZSH if shell == "zsh" else "") + text
