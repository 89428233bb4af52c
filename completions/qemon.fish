# fish completion for qemon and qemond; qemon.bash tells how.

function __qemon_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct | string trim -l -c '\'"')
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    set -e words[1]
    for line in (command $program complete $words "$current" 2>/dev/null </dev/null)
        switch $line
            case \tfiles
                __fish_complete_path (string replace -r '^--[^=]*=' '' -- $current)
            case \tdirectories
                __fish_complete_directories (string replace -r '^--[^=]*=' '' -- $current) ''
            case '*'
                echo $line
        end
    end
end

complete -c qemon -f -a '(__qemon_complete)'
complete -c qemond -f -a '(__qemon_complete)'
