#!/usr/bin/env bash
# Completes options, settings and commands in bash, zsh and fish, with the files of
# packaging/completions. A shell that is not installed is skipped.
#
# usage: completions.sh
set -euo pipefail
name=completions
. "$(dirname "$0")/common.sh"

files=$(realpath "$(dirname "$0")/../../packaging/completions")
make_work "${TMPDIR:-/tmp}"
touch "$work/my.conf" "$work/other.conf"
cd "$work"

# offers SHELL LINE WORD…: the shell offers each of these words for a line that ends at the cursor.
offers() {
    local shell=$1 line=$2 word
    shift 2
    "in_$shell" "$line" >offered
    for word in "$@"; do
        grep -qxF -e "$word" offered && continue
        echo "$shell offers no $word for: $line" >&2
        head -5 offered >&2
        exit 1
    done
}

in_bash() {
    bash -c '. "$1/statsd.bash"
        read -ra COMP_WORDS <<<"${2//=/ = }" # as bash does
        [[ "$2" == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        compopt() { :; } # it works only while the shell completes
        _statsd
        printf "%s\n" "${COMPREPLY[@]}"' - "$files" "$1"
}

in_fish() { fish --no-config -c 'source $argv[1]/statsd.fish; complete -C $argv[2]' "$files" "$1" | cut -f 1; }

# zsh completes only in a terminal, so this one types into a pseudo terminal. A mark before and after
# each match separates it from what the terminal shows.
in_zsh() {
    zsh -f -c 'zmodload zsh/zpty
        zpty z zsh -f -i
        zpty -w z "PS1=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D"
        zpty -w z "zstyle \":completion:*\" list-colors \"no=<\" \"fi=<\" \"ec=>\"; LISTMAX=1000"
        zpty -w z "zstyle \":completion:*\" verbose no; unsetopt list_packed; COLUMNS=40; LINES=1000"
        zpty -w z "bindkey \"^T\" list-choices; echo rea""dy"
        zpty -r z seen "*ready*"
        zpty -n -w z "$2"$'"'\024'"'
        zpty -n -w z $'"'\025echo do\"\"ne\n'"'
        zpty -r z seen "*done*"
        print -r -- "$seen"' - "$files" "$1" | tr -d '\r' | sed 's/\x1b\[[0-9;]*[A-Za-z]//g' |
        grep -o '<m[^>]*>' | sed 's/^<m//; s/[\x1b>].*//; s/ *$//'
}

for shell in bash zsh fish; do
    has $shell $shell || { echo "SKIPPED: completions of $shell, which is not installed"; continue; }
    offers $shell "statsd --" --check --print-config --ask --import --compare --every
    offers $shell "statsd --ask " stats watch senders
    offers $shell "statsd -o carbon." carbon.address= carbon.queue=
    offers $shell "statsd -c m" my.conf
    offers $shell "statsd --import m" my.conf
    offers $shell "statsd --compare m" my.conf
    offers $shell "statsd --compare my.conf o" other.conf
    offers $shell "statsd --print-config=e" $([ $shell = fish ] && echo --print-config=example || echo example)
    step "ok in $shell"
done
