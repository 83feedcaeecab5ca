"""`loom completion SHELL`: a completion script, verbs first, then Hydra's own for overrides."""

from __future__ import annotations

from loomlab.entry.arguments import Arguments
from loomlab.entry.cli import VERBS

BASH = """\
_loom() {{
    local verb="${{COMP_WORDS[1]}}" current="${{COMP_WORDS[COMP_CWORD]}}"
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=( $(compgen -W "{verbs}" -- "$current") )
    elif [ "$verb" = train ] || [ "$verb" = validate ]; then
        local line="loom ${{COMP_LINE#*"$verb"}}"
        COMPREPLY=( $(COMP_POINT=${{#line}} COMP_LINE="$line" loom train -sc query=bash) )
        compopt -o nospace
    elif [ "$verb" = options ]; then
        COMPREPLY=( $(compgen -W "{axes} --matrix" -- "$current") )
    else
        COMPREPLY=( $(compgen -f -- "$current") )
    fi
}}
COMP_WORDBREAKS="${{COMP_WORDBREAKS//=/}}"
complete -F _loom loom
"""
ZSH = "autoload -U +X bashcompinit && bashcompinit\n" + BASH.replace("compopt -o nospace", ":")
FISH = """\
complete -c loom -f
complete -c loom -n __fish_use_subcommand -a "{verbs}"
complete -c loom -n "__fish_seen_subcommand_from options" -a "{axes} --matrix"
complete -c loom -n "__fish_seen_subcommand_from train validate" -a \\
    "(env COMP_POINT=(commandline -C) COMP_LINE=(commandline -cp) loom train -sc query=fish)"
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom completion",
        description='Print a completion script: eval "$(loom completion bash)"',
    )
    arguments.add_argument("shell", choices=sorted(SCRIPTS))
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    from loomlab.catalog.options import Catalog
    from loomlab.catalog.search import all_conf_dirs

    shell = parser().parse_args(argv).shell
    axes = " ".join(a.name for a in Catalog(all_conf_dirs()).axes)
    print(SCRIPTS[shell].format(verbs=" ".join(VERBS), axes=axes))
    return 0
