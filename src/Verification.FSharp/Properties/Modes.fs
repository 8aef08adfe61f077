namespace LocalAttention.Verification

open System
open TorchSharp

/// Training mode and evaluation mode: what differs between them, and what one leaves behind for the other.
[<RequireQualifiedAccess>]
module Modes =
    /// Batch norm asks for more than one image.
    let private batch = 3

    let private input (case: Case) name =
        Measuring.input case.Subject (Measuring.derived case.Seed name) batch torch.ScalarType.Float64

    /// The tensor library's random numbers start at a seed, and afterwards go on where they were.
    let private seeded (seed: int64) (body: unit -> 'result) =
        use before = torch.get_rng_state ()
        torch.manual_seed seed |> ignore

        try
            body ()
        finally
            torch.set_rng_state before

    let private inTraining (instance: Instance) (body: unit -> 'result) =
        instance.Train true

        try
            body ()
        finally
            instance.Train false

    let private copies (tensors: (string * torch.Tensor) list) =
        [ for name, tensor in tensors -> name, tensor.detach().clone() ]

    let private isSame one other = Measuring.difference one other = 0.0

    let private isKept (before: (string * torch.Tensor) list) (now: (string * torch.Tensor) list) =
        List.forall2 (fun (_, one) (_, other) -> isSame one other) before now

    /// Kinds of modules that are to behave differently in training.
    let private changing =
        [ "Dropout"
          "AlphaDropout"
          "FeatureAlphaDropout"
          "BatchNorm"
          "InstanceNorm" ]

    let private namesChange (root: torch.nn.Module) =
        Comparison.modules root
        |> List.map (fun (_, part) -> part.GetType().Name)
        |> List.tryFind (fun name ->
            changing
            |> List.exists (fun kind -> name.StartsWith(kind, StringComparison.Ordinal)))

    let private withModule (case: Case) (check: Instance -> torch.nn.Module -> Verdict) =
        use instance = case.Subject.Build case.Seed torch.ScalarType.Float64
        instance.Train false

        match instance.Module with
        | Some root -> check instance root
        | None -> Verdict.CannotAsk "a function has no modes"

    let private equalModes (case: Case) (instance: Instance) (root: torch.nn.Module) =
        let x = input case "input"
        let evaluated = Measuring.evaluate instance.Forward x
        let before = copies (Comparison.state instance)

        // Dropout may keep everything by chance, but not without asking the generator.
        let trained seed =
            inTraining instance (fun () ->
                seeded seed (fun () ->
                    use start = torch.get_rng_state ()
                    let output = Measuring.evaluate instance.Forward x
                    use after = torch.get_rng_state ()
                    output, not (isSame start after)))

        let (one, drawsFirst), (other, drawsAgain) = trained 1L, trained 2L

        if drawsFirst || drawsAgain || not (isSame one other) then
            Verdict.CannotAsk "it draws random numbers in training, as dropout and stochastic depth do"
        elif not (isKept before (Comparison.state instance)) then
            Verdict.CannotAsk "a pass in training changes its buffers, as batch norms do"
        else
            match namesChange root with
            | Some kind -> Verdict.CannotAsk $"{kind}, which is in it, is to behave differently in training"
            | None ->
                Comparison.verdict
                    case.Subject
                    x
                    (Measuring.toleranceOf case.Subject torch.ScalarType.Float64 instance)
                    "largest difference of modes"
                    "Without dropout, stochastic depth and batch norm, training mode should give the outputs of evaluation mode"
                    evaluated
                    one

    /// <summary>Where nothing is random, training mode gives the outputs of evaluation mode.</summary>
    /// <remarks>
    /// Skipped where a pass in training draws random numbers or two of them differ, where a pass changes buffers, and where a module's kind is a dropout or a
    /// batch norm.
    /// </remarks>
    let equal: Property =
        Ask.cases
            "training mode"
            "without dropout, stochastic depth and batch norm, training gives the outputs of evaluation"
            (fun case -> withModule case (equalModes case))

    /// A pass forward and backward in training on another input; buffers that it changes are put back.
    let private train (case: Case) (instance: Instance) =
        let buffers = Comparison.state instance
        let before = copies buffers

        inTraining instance (fun () ->
            seeded case.Seed (fun () ->
                use _ = torch.NewDisposeScope()
                use _ = torch.enable_grad ()
                let output = instance.Forward((input case "another input").requires_grad_())

                if output.requires_grad then
                    output.sum().backward()))

        for _, parameter in instance.Parameters do
            parameter.grad <- null

        Comparison.copy before buffers |> ignore

    /// Parameters moved as an optimiser moves them, by a tenth of their magnitude at most, in training mode.
    let private step (case: Case) (instance: Instance) =
        inTraining instance (fun () ->
            use _ = torch.no_grad ()

            for name, parameter in instance.Parameters do
                if parameter.requires_grad && parameter.is_floating_point () then
                    use numbers = Measuring.numbers case.Seed $"step of {name}" parameter.shape
                    use factors = numbers * (0.1).ToScalar() + (1.0).ToScalar()
                    parameter.mul_ factors |> ignore)

    let private breaks (case: Case) (x: torch.Tensor) expectation expected actual =
        Comparison.verdict case.Subject x 0.0 "largest change" expectation expected actual

    let private unaffectedEvaluation (case: Case) (instance: Instance) =
        let x = input case "input"
        let evaluate () = Measuring.evaluate instance.Forward x
        let first = evaluate ()

        if not (isSame first (evaluate ())) then
            Verdict.CannotAsk "two evaluations of one input differ by themselves"
        else
            inTraining instance ignore

            let returned =
                breaks
                    case
                    x
                    "Switching to training and back to evaluation should give the same bits"
                    first
                    (evaluate ())

            match returned with
            | Verdict.Holds _ ->
                train case instance

                let trained =
                    breaks
                        case
                        x
                        "Evaluation should give the same bits whatever ran in training before, buffers put back"
                        first
                        (evaluate ())

                match trained with
                | Verdict.Holds _ ->
                    step case instance
                    use fresh = case.Subject.Build case.Seed torch.ScalarType.Float64
                    Comparison.copy (Comparison.state instance) (Comparison.state fresh) |> ignore
                    fresh.Train false

                    Comparison.verdict
                        case.Subject
                        x
                        (Measuring.toleranceOf case.Subject torch.ScalarType.Float64 instance)
                        "largest change"
                        "After the parameters have changed in training, evaluation should give what a new module with these parameters gives"
                        (Measuring.evaluate fresh.Forward x)
                        (evaluate ())
                | verdict -> verdict
            | verdict -> verdict

    /// <summary>Evaluation depends on the parameters and buffers as they are, and on nothing that ran before.</summary>
    /// <remarks>
    /// In turn: there and back gives the same bits; so does a pass forward and backward in training on another input, when the
    /// buffers it changed are put back; and when parameters have changed, evaluation is that of a new module that has them. A
    /// weight that is cached and not refreshed breaks it.
    /// </remarks>
    let unaffected: Property =
        Ask.cases
            "evaluation after training"
            "evaluation does not depend on what ran in training"
            (fun case -> withModule case (fun instance _ -> unaffectedEvaluation case instance))

    /// Both.
    let all: Property list = [ equal; unaffected ]
