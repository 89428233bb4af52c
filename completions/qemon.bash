# bash completion for qemon and qemond.
#
# The programs know best: `PROGRAM complete WORD...` prints what the last word may become, a line each, with its help behind
# a tab. A line that begins with a tab says that names of files or directories will do as well.

_qemon() {
  local rest=${COMP_LINE:0:COMP_POINT} words=() gap word i
  # Words as qemon sees them: bash breaks them at `=` and `:` too.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    gap=${rest%%[![:space:]]*}
    rest=${rest#"$gap"}
    word=${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || word=$rest
    rest=${rest#"$word"}
    if [[ -n $gap || $i -eq 0 ]]; then
      words+=("$word")
    else
      words[${#words[@]} - 1]+=$word
    fi
  done

  local program=${words[0]/#\~\//$HOME/} typed=${words[${#words[@]} - 1]}
  words=("${words[@]//[\'\"\\]/}")
  local current=${words[${#words[@]} - 1]} breaks=${COMP_WORDBREAKS//[^=:@]/} kept=''
  # Bash replaces only what is behind the last of its breaks, unless the word is quoted.
  if [[ -n $breaks && $typed != [\'\"]* ]]; then
    kept=${current%"${current##*["$breaks"]}"}
  fi

  COMPREPLY=()
  while IFS= read -r word; do
    case $word in
      $'\tfiles')
        compopt -o filenames 2>/dev/null
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${current#"$kept"}")
        ;;
      $'\tdirectories')
        compopt -o filenames 2>/dev/null
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "${current#"$kept"}")
        ;;
      *)
        word=${word%%$'\t'*}
        [[ $word != *= ]] || compopt -o nospace 2>/dev/null
        COMPREPLY+=("${word#"$kept"}")
        ;;
    esac
  done < <("$program" complete "${words[@]:1}" 2>/dev/null </dev/null)
}

complete -F _qemon qemon qemond
