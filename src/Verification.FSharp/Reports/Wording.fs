namespace LocalAttention.Verification

open System
open System.Globalization

/// What the reports say alike: the headline, numbers, shapes, a counterexample's code.
module internal Wording =
    /// Control characters, with which a name could move a terminal's cursor, become the replacement character.
    let readable (text: string) =
        text.ReplaceLineEndings "\n"
        |> String.map (fun letter ->
            if
                (Char.IsControl letter && letter <> '\n' && letter <> '\t')
                || letter >= '\uFFFE'
            then
                '\uFFFD'
            else
                letter)

    /// `1 case`, `12 cases`.
    let count (number: int) (one: string) (many: string) =
        $"""{number.ToString("N0", CultureInfo.InvariantCulture)} {if number = 1 then one else many}"""

    /// Four digits: enough to compare, few enough to read.
    let number (value: float) =
        if Double.IsNaN value then
            "NaN"
        elif Double.IsInfinity value then
            if value > 0.0 then "∞" else "−∞"
        else
            value.ToString("0.####;−0.####", CultureInfo.InvariantCulture)
            |> fun plain ->
                let size = abs value

                if size <> 0.0 && (size < 0.01 || size >= 1e6) then
                    value.ToString("0.###e+0;−0.###e+0", CultureInfo.InvariantCulture)
                else
                    plain

    /// `1.25 s`, `3 min 20 s`.
    let duration (elapsed: TimeSpan) =
        if elapsed.TotalSeconds < 60.0 then
            elapsed.TotalSeconds.ToString("0.00", CultureInfo.InvariantCulture) + " s"
        else
            $"{int elapsed.TotalMinutes} min {elapsed.Seconds} s"

    /// `[1, 8, 8, 4]`.
    let shape (sizes: int64 list) =
        "[" + String.Join(", ", sizes |> List.map string) + "]"

    /// How many findings fail, how many hold and how many were not asked.
    let tally (report: Report) =
        report.Findings
        |> List.fold
            (fun (failing, holding, skipped) finding ->
                match finding.Outcome with
                | Outcome.Fails _ -> failing + 1, holding, skipped
                | Outcome.Holds _ -> failing, holding + 1, skipped
                | Outcome.Skipped _ -> failing, holding, skipped + 1)
            (0, 0, 0)

    /// `1 of 9 properties does not hold`; what was skipped was not asked, and is not among the nine.
    let verdict (report: Report) =
        match tally report with
        | 0, 0, _ -> "no property could be asked"
        | 0, 1, _ -> "the one property that was asked holds"
        | 0, holding, _ -> $"all {holding} properties that were asked hold"
        | failing, holding, _ ->
            let total = count (failing + holding) "property" "properties"
            $"""{failing} of {total} {if failing = 1 then "does" else "do"} not hold"""
