namespace LocalAttention.Verification

open System
open FsCheck.FSharp
open LocalAttention.Core.Specification
open TorchSharp

/// What `Verify.holds` throws: its message is the report as text.
type VerificationException(report: Report) =
    inherit Exception(TextReport.render report)

    /// What was found.
    member _.Report = report

/// Asks subjects.
[<RequireQualifiedAccess>]
module Verify =
    /// Twenty cases of each property, from seed 1.
    let settings: Settings = { Cases = 20; Seed = 1L; Shrinks = 40 }

    /// Every property there is, in the order of reports.
    let properties: Property list =
        [ Equivariance.shifts
          Consistency.predictions
          Locality.support
          BatchIndependence.alone
          Determinism.repetition
          yield! Agreement.all
          Gradients.agreement
          Heads.permutation
          Precision.drift
          yield! Modes.all
          Memory.returned ]

    /// <summary>The property of a name.</summary>
    /// <exception cref="T:System.ArgumentException">There is none; the message has all names.</exception>
    let property (name: string) : Property =
        match properties |> List.tryFind (fun property -> property.Name = name) with
        | Some property -> property
        | None ->
            let names = properties |> List.map _.Name |> String.concat ", "

            invalidArg
                (nameof name)
                $"there is no property '{name}'; use one of: {names}; one of your own is given by its value"

    /// <summary>Asks one property.</summary>
    /// <example><code lang="fsharp">Subject.ofArchitecture Swin.tiny |> Verify.ask Equivariance.shifts Verify.settings</code></example>
    let ask (property: Property) (settings: Settings) (subject: Subject) : Finding =
        property.Ask settings subject

    /// Asks some properties.
    let these (properties: Property list) (settings: Settings) (subject: Subject) : Report =
        { Subject = subject.Name
          Code = subject.Code
          Seed = settings.Seed
          Findings = [ for property in properties -> ask property settings subject ] }

    /// <summary>Asks every property.</summary>
    /// <example><code lang="fsharp">Subject.ofArchitecture Swin.tiny |> Verify.all Verify.settings |> TextReport.render |> printfn "%s"</code></example>
    let all (settings: Settings) (subject: Subject) : Report = these properties settings subject

    /// <summary>Asks every property, and throws where one does not hold: for a suite of any test library.</summary>
    /// <exception cref="T:LocalAttention.Verification.VerificationException">A counterexample was found.</exception>
    let holds (settings: Settings) (subject: Subject) : unit =
        let report = all settings subject

        if not report.IsSound then
            raise (VerificationException report)

    /// <summary>Asks one case again: that of a counterexample's seed and size, by itself.</summary>
    /// <param name="property">What was asked.</param>
    /// <param name="seed">The counterexample's seed.</param>
    /// <param name="size">Rows and columns of its input.</param>
    /// <param name="subject">Its subject.</param>
    let again (property: Property) (seed: int64) (size: ImageSize) (subject: Subject) : Report =
        { subject with Size = size }
        |> these [ property ] { Cases = 1; Seed = seed; Shrinks = 0 }

    /// <summary>Asks one property of generated subjects, each in one case, until one fails.</summary>
    /// <param name="property">What is asked.</param>
    /// <param name="settings">How many subjects, and the seed that all of them follow from.</param>
    /// <param name="subjects">Generates subjects: <c>Generate.architecture |> Gen.map Subject.ofArchitecture</c>.</param>
    let search (property: Property) (settings: Settings) (subjects: FsCheck.Gen<Subject>) : Finding =
        Ask.ensureCases settings
        let watch = Diagnostics.Stopwatch.StartNew()

        let sample number =
            let seed = FsCheck.Rnd(uint64 (Measuring.derived settings.Seed $"subject {number}"))

            subjects |> Gen.sampleWithSeed seed 30 1 |> Array.head

        let rec go number held figures reasons =
            if number >= settings.Cases then
                match reasons with
                | Some reason when held = 0 -> Outcome.Skipped reason, figures
                | _ -> Outcome.Holds held, figures
            else
                let one =
                    { settings with
                        Cases = 1
                        Seed = Measuring.derived settings.Seed $"weights {number}" }

                let finding = property.Ask one (sample number)
                let figures = List.rev finding.Figures @ figures

                match finding.Outcome with
                | Outcome.Holds cases -> go (number + 1) (held + cases) figures reasons
                | Outcome.Skipped reason -> go (number + 1) held figures (Some reason)
                | Outcome.Fails _ -> finding.Outcome, figures

        let outcome, figures = go 0 0 [] None

        { Property = property.Name
          Statement = property.Statement
          Outcome = outcome
          Figures = Ask.together (List.rev figures)
          Elapsed = watch.Elapsed }

    /// <summary>
    /// The property as one of FsCheck's, for its own runners and its attributes: each of FsCheck's cases is a subject with
    /// weights and an input of its own. What fails is made small here, and its report is the label.
    /// </summary>
    /// <param name="property">What is asked.</param>
    /// <param name="subjects">Generates subjects; <c>Gen.constant</c> of one asks that one alone.</param>
    /// <example><code lang="fsharp">
    /// Generate.architecture |> Gen.map Subject.ofArchitecture |> Verify.byFsCheck Locality.support |> Check.QuickThrowOnFailure
    /// </code></example>
    let byFsCheck (property: Property) (subjects: FsCheck.Gen<Subject>) : FsCheck.Property =
        Prop.forAll (Arb.fromGen Generate.seed) (fun seed ->
            let finding =
                subjects
                |> search
                    property
                    { settings with
                        Cases = 1
                        Seed = int64 seed }

            match finding.Outcome with
            | Outcome.Holds _ -> Prop.ofTestable true
            | Outcome.Skipped reason -> Prop.ofTestable true |> Prop.collect $"skipped: {reason}"
            | Outcome.Fails found ->
                let report =
                    { Subject = "generated"
                      Code = found.Code
                      Seed = found.Seed
                      Findings = [ finding ] }

                Prop.ofTestable false |> Prop.label (TextReport.render report))

/// The same from C#.
[<AbstractClass; Sealed>]
type Verifier private () =
    /// A model of an architecture.
    static member Of(architecture: Architecture) : Subject = Subject.ofArchitecture architecture

    /// An attention layer on maps of tokens.
    static member Of(attention: Attention, channels: int, size: ImageSize) : Subject =
        Subject.ofLayer attention channels size

    /// A function of tensors.
    static member Of
        (name: string, signature: Signature, promises: Promises, forward: Func<torch.Tensor, torch.Tensor>)
        : Subject =
        Subject.ofFunction name signature promises forward.Invoke

    /// A layer or a model: the function makes a new one each time.
    static member Of
        (
            name: string,
            signature: Signature,
            promises: Promises,
            make: Func<torch.nn.Module<torch.Tensor, torch.Tensor>>
        ) : Subject =
        Subject.ofModule name signature promises make.Invoke

    /// Asks every property, twenty cases of each.
    static member All(subject: Subject) : Report = Verify.all Verify.settings subject

    /// Asks every property.
    static member All(subject: Subject, settings: Settings) : Report = Verify.all settings subject

    /// Asks one property, twenty cases of it.
    static member Ask(property: Property, subject: Subject) : Report =
        Verify.these [ property ] Verify.settings subject

    /// Asks one case again: that of a counterexample's seed and size.
    static member Again(property: Property, seed: int64, size: ImageSize, subject: Subject) : Report =
        Verify.again property seed size subject

    /// <summary>Asks every property, twenty cases of each, and throws where one does not hold.</summary>
    /// <exception cref="T:LocalAttention.Verification.VerificationException">A counterexample was found.</exception>
    static member Holds(subject: Subject) : unit = Verify.holds Verify.settings subject

    /// <summary>Asks every property, and throws where one does not hold.</summary>
    /// <exception cref="T:LocalAttention.Verification.VerificationException">A counterexample was found.</exception>
    static member Holds(subject: Subject, settings: Settings) : unit = Verify.holds settings subject
