namespace LocalAttention.Dsl

open System
open System.Globalization

/// What is refined, and the refinements behind it: <c>2 * qna 3</c>, then <c>heads 8</c> and others.
type internal Expression =
    {
        /// What is summed.
        Terms: string list
        /// Words behind the sum, each after a <c>|&gt;</c>.
        Pipes: string list
    }

/// Literals, and words of the language behind one another, as text.
module internal Expressions =
    // ------------------------------------------------------------------------------------------ literals

    /// A whole number, one that can be an argument.
    let integer (number: int) =
        if number < 0 then $"({number})" else string number

    /// A floating-point number that reads back equal.
    let real (number: float) =
        if Double.IsNaN number then
            "nan"
        elif Double.IsInfinity number then
            (if number > 0.0 then "infinity" else "(-infinity)")
        else
            let digits = number.ToString("R", CultureInfo.InvariantCulture).ToLowerInvariant()
            // .NET writes at least two digits of an exponent.
            let short = digits.Replace("e-0", "e-").Replace("e+0", "e+")

            let literal =
                if short.IndexOfAny [| '.'; 'e' |] < 0 then
                    short + ".0"
                else
                    short

            if number < 0.0 then $"({literal})" else literal

    /// True or false.
    let flag (value: bool) = if value then "true" else "false"

    /// A text in quotation marks.
    let quoted (text: string) =
        let letter (letter: char) =
            match letter with
            | '"' -> "\\\""
            | '\\' -> "\\\\"
            | '\n' -> "\\n"
            | '\t' -> "\\t"
            | other when Char.IsAsciiLetterOrDigit other || other = ' ' -> string other
            | other when
                Char.IsControl other
                || Char.IsSurrogate other
                || Char.IsSeparator other
                || Char.GetUnicodeCategory other = UnicodeCategory.Format
                ->
                $"\\u{int other:X4}"
            | other -> string other

        "\"" + String.collect letter text + "\""

    /// A case of an enumeration, by its name in this language.
    let choice (value: 'choice when 'choice: struct and 'choice :> Enum) =
        let kind = typeof<'choice>.Name

        match Enum.GetName<'choice> value with
        | null -> $"(enum<{kind}> {integer (Convert.ToInt32 value)})"
        | name -> $"{kind}.{name}"

    // ------------------------------------------------------------------------------------------ expressions

    /// Words, each applied to what stands before it.
    let piped (first: string) (pipes: string list) = String.concat " |> " (first :: pipes)

    /// The whole expression.
    let onOneLine (expression: Expression) =
        piped (String.concat " + " expression.Terms) expression.Pipes

    /// As a term among others.
    let term (expression: Expression) =
        match expression with
        | { Terms = [ single ]; Pipes = [] } -> single
        | expression -> $"({onOneLine expression})"

    /// Lines further to the right.
    let indented (spaces: int) (lines: string list) =
        let margin = String.replicate spaces " "
        lines |> List.map (fun line -> margin + line)

    /// Terms, each on a line.
    let sum (terms: string list) =
        List.mapi (fun index term -> if index = 0 then term else $"+ {term}") terms

    /// Words behind an expression, each on a line.
    let steps (pipes: string list) =
        pipes |> List.map (fun pipe -> $"|> {pipe}")

    /// A word where a value is not the usual one.
    let unusual (word: string) (value: 'value) (usual: 'value) (text: 'value -> string) =
        if value = usual then [] else [ $"{word} {text value}" ]

    /// A word where there is a value.
    let given (word: string) (value: Nullable<'value>) (text: 'value -> string) =
        if value.HasValue then
            [ $"{word} {text value.Value}" ]
        else
            []

    /// An optional argument where a value is not the usual one.
    let argument (name: string) (value: 'value) (usual: 'value) (text: 'value -> string) =
        unusual $"{name} =" value usual text

    /// An optional argument where there is a value.
    let optional (name: string) (value: Nullable<'value>) (text: 'value -> string) =
        given $"{name} =" value text
