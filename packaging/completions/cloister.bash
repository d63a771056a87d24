# bash completion for cloister
_cloister() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]-}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'run plan check config who explain --help --version' -- "$word")
        return
    fi
    case $verb,$before in
    run,-o | explain,--svg) compopt -o default ;;
    run,* | plan,*)
        compopt -o default
        if [ "$verb" = run ]; then mapfile -t COMPREPLY < <(compgen -W '-v -o' -- "$word"); fi
        ;;
    check,*) mapfile -t COMPREPLY < <(compgen -W "$(cloister config NAMED_CHROOT 2>/dev/null | sed -n 's/^NAMED_CHROOT = //p' |
        tr -s ', ' '\n' | sed -n 's/=.*//p')" -- "$word") ;;
    config,*) mapfile -t COMPREPLY < <(compgen -W "$(cloister config 2>/dev/null |
        sed -n 's/^\(# \)\{0,1\}\([A-Z][A-Z_0-9]*\) \(=\|is not set\).*/\2/p')" -- "$word") ;;
    who,*) mapfile -t COMPREPLY < <(compgen -W '--json' -- "$word") ;;
    explain,*) mapfile -t COMPREPLY < <(compgen -W "--svg $(cloister who --json 2>/dev/null |
        grep -o '"job":"[0-9.]*"' | cut -d '"' -f 4)" -- "$word") ;;
    esac
}
complete -F _cloister cloister
