# fish completion for cloister
set -l verbs run plan check config who explain
complete -c cloister -n "not __fish_seen_subcommand_from $verbs" -f
complete -c cloister -n "not __fish_seen_subcommand_from $verbs" -a run -d 'run a job here, isolated'
complete -c cloister -n "not __fish_seen_subcommand_from $verbs" -a plan -d 'print what would be done for a job'
complete -c cloister -n "not __fish_seen_subcommand_from $verbs" -a check -d 'examine this machine and its named roots'
complete -c cloister -n "not __fish_seen_subcommand_from $verbs" -a config -d 'print knobs with value, origin and default'
complete -c cloister -n "not __fish_seen_subcommand_from $verbs" -a who -d 'list the jobs that run on this machine'
complete -c cloister -n "not __fish_seen_subcommand_from $verbs" -a explain -d 'show the cell of a job that runs'
complete -c cloister -n '__fish_seen_subcommand_from run' -s v -d 'show the cell'
complete -c cloister -n '__fish_seen_subcommand_from run' -s o -r -d 'result ad'
complete -c cloister -n '__fish_seen_subcommand_from config' -f -a "(cloister config 2>/dev/null | string match -rg '^(?:# )?([A-Z][A-Z_0-9]*) (?:=|is not set)')"
complete -c cloister -n '__fish_seen_subcommand_from check' -f -a "(cloister config NAMED_CHROOT 2>/dev/null | string match -rga '([A-Za-z0-9_.-]+)=')"
complete -c cloister -n '__fish_seen_subcommand_from who' -f -l json
complete -c cloister -n '__fish_seen_subcommand_from explain' -l svg -r -d 'draw it'
