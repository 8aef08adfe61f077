namespace LocalAttention.Verification

open System
open System.Diagnostics
open LocalAttention.Core.Specification
open TorchSharp

/// One case of a property: a subject at its size, and the seed that its weights, its input and all choices follow from.
type Case = { Subject: Subject; Seed: int64 }

/// What one case came to. The first word of a figure's name says what is made of those of all cases: `largest`, `smallest`
/// and `mean` do what they say, and any other is the largest too.
[<RequireQualifiedAccess>]
type Verdict =
    /// It held.
    | Holds of figures: (string * float) list
    /// It broke: the shape of the input, what was expected and what came, and pictures of both.
    | Breaks of input: int64 list * explanation: string * pictures: Picture list
    /// The same, where a property can break in more than one way: a smaller case counts where it breaks in the same.
    | BreaksAs of kind: string * input: int64 list * explanation: string * pictures: Picture list
    /// It cannot be asked, and why.
    | CannotAsk of reason: string

/// From the check of one case to a property: runs cases, and makes the first that fails as small as it goes.
[<RequireQualifiedAccess>]
module Ask =
    /// A failure, as the search holds it.
    type private Failure =
        { Case: Case
          Input: int64 list
          Explanation: string
          Pictures: Picture list
          Kind: string }

    /// What is asked in no case would hold.
    let internal ensureCases (settings: Settings) =
        if settings.Cases < 1 then
            invalidArg (nameof settings) $"{settings.Cases} cases ask nothing; use 1 or more"

    /// The seed of the case of a number; the first is the settings' own, so that a failing case repeats as the only one.
    let private seedOf (settings: Settings) number =
        if number = 0 then
            settings.Seed
        else
            Measuring.derived settings.Seed $"case {number}"

    /// A subject at another size.
    let private resized (subject: Subject) (size: ImageSize) = { subject with Size = size }

    /// Every second case is of a smaller size, where there is one that the subject takes: borders count there.
    let private sized (subject: Subject) number seed =
        let side name length = 1 + Measuring.choice seed name length

        let drawn =
            Seq.init 8 (fun attempt ->
                ImageSize(
                    side $"height {attempt}" subject.Size.Height,
                    side $"width {attempt}" subject.Size.Width
                ))
            |> Seq.tryFind subject.Takes

        match drawn with
        | Some size when number % 2 = 1 -> resized subject size
        | _ -> subject

    let private run (check: Case -> Verdict) (case: Case) : Choice<Verdict, Failure> =
        try
            use _ = torch.NewDisposeScope()

            let breaks kind input explanation pictures =
                Choice2Of2
                    { Case = case
                      Input = input
                      Explanation = explanation
                      Pictures = pictures
                      Kind = kind }

            match check case with
            | Verdict.Breaks(input, explanation, pictures) -> breaks "" input explanation pictures
            | Verdict.BreaksAs(kind, input, explanation, pictures) -> breaks kind input explanation pictures
            | verdict -> Choice1Of2 verdict
        with
        | :? OutOfMemoryException -> reraise ()
        | thrown ->
            let size = case.Subject.Size

            Choice2Of2
                { Case = case
                  Input = Measuring.shape case.Subject 1 size
                  Explanation =
                    $"an input of {size} should be taken, and threw {thrown.GetType().Name}: {thrown.Message}"
                  Pictures = []
                  Kind = "throws" }

    /// Sizes between the smallest and this one, smallest first.
    let private smallerSizes (subject: Subject) =
        let towards length =
            [ 1; 2; 3; 4; 6; length / 2; length - 1 ]
            |> List.filter (fun side -> side >= 1 && side < length)
            |> List.distinct
            |> List.sort

        let height, width = subject.Size.Height, subject.Size.Width

        [ for side in towards (max height width) do
              ImageSize(min side height, min side width)
          for side in towards height do
              ImageSize(side, width)
          for side in towards width do
              ImageSize(height, side) ]
        |> List.distinct
        |> List.filter subject.Takes

    let private simpler (case: Case) =
        seq {
            for size in smallerSizes case.Subject do
                { case with
                    Subject = resized case.Subject size }

            for subject in case.Subject.Simpler() do
                { case with Subject = subject }

                if subject.Size <> case.Subject.Size && subject.Takes case.Subject.Size then
                    { case with
                        Subject = resized subject case.Subject.Size }
        }

    /// The first simpler case that fails alike, until none does.
    let private shrink (settings: Settings) check (failure: Failure) =
        // Cases that hold cost as much as those that fail, and there may be many of them between two that fail.
        let mutable attempts = 12 * settings.Shrinks

        let rec go steps failure =
            let next =
                if steps >= settings.Shrinks then
                    None
                else
                    simpler failure.Case
                    |> Seq.takeWhile (fun _ ->
                        attempts <- attempts - 1
                        attempts >= 0)
                    |> Seq.tryPick (fun case ->
                        match run check case with
                        | Choice2Of2 smaller when smaller.Kind = failure.Kind -> Some smaller
                        | _ -> None)

            match next with
            | Some smaller -> go (steps + 1) smaller
            | None -> failure, steps

        go 0 failure

    /// One figure from those of all cases.
    let private figure (name: string, values: float list) =
        let together =
            if name.StartsWith("mean", StringComparison.Ordinal) then
                List.average values
            elif name.StartsWith("smallest", StringComparison.Ordinal) then
                List.min values
            else
                List.max values

        name, together

    /// The figures of all cases.
    let internal together (figures: (string * float) list) : (string * float) list =
        figures
        |> List.groupBy fst
        |> List.map (fun (name, values) -> figure (name, List.map snd values))

    /// What is opened where code is pasted.
    let private opened =
        [ "LocalAttention.Core.Specification"
          "LocalAttention.Dsl"
          "LocalAttention.Verification" ]

    /// F# that asks a case again: what loads scripts, what is opened, the subject, the question.
    let private again (property: string) (case: Case) =
        let subject = case.Subject

        let directives, value =
            if subject.Code = subject.Name then
                [], [ "// subject: " + subject.Name.ReplaceLineEndings " "; "subject" ]
            else
                subject.Code.TrimEnd().ReplaceLineEndings("\n").Split '\n'
                |> List.ofArray
                |> List.partition (fun line -> line.StartsWith('#'))

        let name = property.Replace("\\", "\\\\").Replace("\"", "\\\"")
        // The compiler would take a minus sign alone for a subtraction.
        let seed =
            if case.Seed < 0L then
                $"({case.Seed}L)"
            else
                $"{case.Seed}L"

        [ yield! directives
          for space in opened do
              $"open {space}"
          ""
          yield! value
          if subject.Architecture.IsSome then
              "|> Subject.ofArchitecture"
          $"|> Verify.again (Verify.property \"{name}\") {seed} (ImageSize({subject.Size.Height}, {subject.Size.Width}))" ]
        |> String.concat "\n"

    let private counterexample property steps (failure: Failure) =
        { Code = failure.Case.Subject.Code
          Again = again property failure.Case
          Seed = failure.Case.Seed
          Input = failure.Input
          Explanation = failure.Explanation
          Shrinks = steps
          Pictures = failure.Pictures }

    /// <summary>The property that a check of one case is.</summary>
    /// <remarks>
    /// Cases follow from the settings' seed; a counterexample's seed alone, with one case and its subject at its size, gives
    /// the case again. Whatever the check makes of tensors is disposed of behind it. What the subject throws at a size that it
    /// takes is a failure as well.
    /// </remarks>
    /// <param name="name">The property's name.</param>
    /// <param name="statement">What it says.</param>
    /// <param name="check">One case.</param>
    let cases (name: string) (statement: string) (check: Case -> Verdict) : Property =
        let ask (settings: Settings) (subject: Subject) =
            ensureCases settings
            let watch = Stopwatch.StartNew()

            let rec go number held figures reasons =
                if number >= settings.Cases then
                    let outcome =
                        match reasons with
                        | reason :: _ when held = 0 -> Outcome.Skipped reason
                        | _ -> Outcome.Holds held

                    outcome, figures
                else
                    let seed = seedOf settings number

                    match
                        run
                            check
                            { Subject = sized subject number seed
                              Seed = seed }
                    with
                    | Choice1Of2(Verdict.Holds measured) ->
                        go (number + 1) (held + 1) (List.rev measured @ figures) reasons
                    | Choice1Of2(Verdict.CannotAsk reason) ->
                        go (number + 1) held figures (reasons @ [ reason ])
                    | Choice1Of2(Verdict.Breaks _ | Verdict.BreaksAs _) ->
                        invalidOp "a case that breaks is a failure"
                    | Choice2Of2 failure ->
                        let smallest, steps = shrink settings check failure
                        Outcome.Fails(counterexample name steps smallest), figures

            let outcome, figures = go 0 0 [] []

            { Property = name
              Statement = statement
              Outcome = outcome
              Figures = together (List.rev figures)
              Elapsed = watch.Elapsed }

        { Name = name
          Statement = statement
          Ask = ask }
