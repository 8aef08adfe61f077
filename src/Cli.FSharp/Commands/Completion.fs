/// <c>completion</c>: a script that has a shell complete our command lines.
module LocalAttention.Cli.Commands.Completion

open System.CommandLine
open LocalAttention.Cli

// Each hands the line behind the program's name, and where the cursor stands in it, to the program itself, as the directive
// [suggest:POSITION]; words that it does not know are files.

let private bash =
    """_localattention() {
    local line=${COMP_LINE#"${COMP_WORDS[0]}"} place word
    place=$((COMP_POINT - ${#COMP_WORDS[0]}))
    while [ "${line# }" != "$line" ]; do
        line=${line# }
        place=$((place - 1))
    done
    COMPREPLY=()
    while IFS= read -r word; do
        [ -n "$word" ] && COMPREPLY+=("$word")
    done < <(compgen -W "$("${COMP_WORDS[0]}" "[suggest:$place]" "$line" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _localattention localattention ./localattention
"""

let private zsh =
    """#compdef localattention
_localattention() {
    local line="${BUFFER#*[[:space:]]}"
    local place=$((CURSOR - ${#BUFFER} + ${#line}))
    local -a found
    found=("${(@f)$("${words[1]}" "[suggest:$place]" "$line" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then
        compadd -- "${found[@]}"
    else
        _files
    fi
}
compdef _localattention localattention ./localattention
"""

let private fish =
    """function __localattention_complete
    set -l words (commandline -cp | string split -m 1 ' ')
    set -l line $words[2]
    $words[1] "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
end
complete -c localattention -a '(__localattention_complete)'
"""

let private scripts = [ "bash", bash; "zsh", zsh; "fish", fish ]

let private shell =
    let argument =
        Argument<string>("SHELL", HelpName = "bash|zsh|fish", Description = "The shell.")

    argument.AcceptOnlyFromAmong(scripts |> List.map fst |> Array.ofList)

let private run (invocation: Invocation) =
    let name = invocation.Value shell
    let _, script = scripts |> List.find (fun (each, _) -> each = name)

    invocation.Answer((fun () -> {| shell = name; script = script |}), (fun () -> script.TrimEnd()))
    ExitCode.Fine

/// The command.
let command: Command =
    let command =
        ExampledCommand(
            "completion",
            "Writes a script with which a shell completes commands, options and names of models.",
            [ "completion bash > ~/.local/share/bash-completion/completions/localattention",
              "for every new bash"
              "completion fish | source", "for this fish" ]
        )

    command.Arguments.Add shell
    command.Runs run
    command
