#compdef qemon qemond
# zsh completion for qemon and qemond; qemon.bash tells how.

_qemon() {
  local program=${(Q)words[1]} line word help
  local -a lines plain open
  local -i files=0 directories=0 found=1
  program=${program/#\~\//$HOME/}
  lines=("${(@f)$(command -- $program complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)}")
  for line in $lines; do
    case $line in
      ($'\tfiles') files=1 ;;
      ($'\tdirectories') directories=1 ;;
      (*)
        word=${line%%$'\t'*}
        help=${${line#$word}#$'\t'}
        word=${word//:/\\:}${help:+:$help}
        if [[ ${line%%$'\t'*} == *= ]]; then open+=($word); else plain+=($word); fi
        ;;
    esac
  done
  (( $#plain )) && _describe -t values value plain && found=0
  (( $#open )) && _describe -t values value open -S '' && found=0
  if (( files || directories )); then
    compset -P '--*='
    if (( files )); then _files && found=0; else _files -/ && found=0; fi
  fi
  return $found
}

_qemon "$@"
