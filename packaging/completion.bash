# bash completion for vaemark. Commands, options and names are asked of the program: nothing here goes stale.

# Words of the help of a command ("" for the program's own): those that start a line of its list.
_vaemark_help_words() {
    "$1" ${2:+"$2"} ${3:+"$3"} --help 2>/dev/null | sed -n 's/^  \(--[a-z0-9-]*\).*/\1/p; s/^  \([a-z][a-z-]*\)  .*/\1/p'
}

# First words of what `vaemark list WHAT` prints. Headings and what follows a table have no row of their own.
_vaemark_names() {
    case $2 in
    models) "$1" list models 2>/dev/null | sed -n '2,/^[A-Z]/s/^\([a-z0-9_-]*\) .*/\1/p' ;;
    suites) "$1" list suites 2>/dev/null | sed -n 's/^\([a-z0-9_-]*\) .*/\1/p' ;;
    backends) "$1" list backends 2>/dev/null | sed -n '2,$s/^\([a-z0-9_-]*\) .*/\1/p' ;;
    esac
}

_vaemark() {
    local program=$1 word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command="" verb=""
    [ "$COMP_CWORD" -lt 2 ] || command=${COMP_WORDS[1]}
    [ "$COMP_CWORD" -lt 3 ] || [ "$command" != oracle ] || verb=${COMP_WORDS[2]}
    COMPREPLY=()
    # bash takes --option=value apart at the =.
    if [ "$word" = = ]; then
        word=
    elif [ "$before" = = ]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [ -z "$command" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_vaemark_help_words "$program" '') --help --version" -- "$word")
        return
    fi
    case $before in
    --suite)
        mapfile -t COMPREPLY < <(compgen -W "$(_vaemark_names "$program" suites)" -- "$word"; compgen -f -X '!*.yaml' -- "$word")
        return ;;
    --model)
        mapfile -t COMPREPLY < <(compgen -W "$(_vaemark_names "$program" models)" -- "$word")
        return ;;
    --backend | --decoder | --baseline | --candidate)
        mapfile -t COMPREPLY < <(compgen -W "$(_vaemark_names "$program" backends)" -- "$word")
        return ;;
    --precision)
        mapfile -t COMPREPLY < <(compgen -W "fp32 fp64 bf16 fp16" -- "$word")
        return ;;
    --from)
        mapfile -t COMPREPLY < <(compgen -W "vae-space diffusion-space" -- "$word")
        return ;;
    list)
        [ "$COMP_CWORD" -ne 2 ] || { mapfile -t COMPREPLY < <(compgen -W "backends models suites cases checks" -- "$word"); return; } ;;
    oracle)
        [ "$COMP_CWORD" -ne 2 ] || { mapfile -t COMPREPLY < <(compgen -W "list build verify export import" -- "$word"); return; } ;;
    esac
    case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W "$(_vaemark_help_words "$program" "$command" "$verb")" -- "$word") ;;
    *) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    esac
}

complete -F _vaemark vaemark
