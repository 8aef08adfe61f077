namespace LocalAttention.Verification

open System
open System.IO
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Kernels
open LocalAttention.Core.Layers
open TorchSharp

/// Two ways to compute the same: by two backends, before and after a rewriting of the weights, before and after a file, or
/// by any two implementations.
[<RequireQualifiedAccess>]
module Agreement =
    /// What one implementation makes of an input.
    type private Way = torch.Tensor -> torch.Tensor

    /// Single and double precision by turns; kernels have code for each.
    let private elementType (case: Case) =
        if Measuring.choice case.Seed "element type" 2 = 0 then
            torch.ScalarType.Float64
        else
            torch.ScalarType.Float32

    let private input (case: Case) elementType =
        Measuring.input case.Subject case.Seed (1 + Measuring.choice case.Seed "batch" 2) elementType

    let private disagree (case: Case) (x: torch.Tensor) tolerance expectation expected actual =
        Comparison.verdict case.Subject x tolerance "largest disagreement" expectation expected actual

    /// Both outputs for one input. What the ways do to the weights happens in their order.
    let private outputs (case: Case) elementType (instance: Instance) expectation (one: Way) (other: Way) =
        let x = input case elementType
        let expected = Measuring.evaluate one x
        let actual = Measuring.evaluate other x

        disagree case x (Measuring.toleranceOf case.Subject elementType instance) expectation expected actual

    /// The gradients of the sum of the output, weighed by random numbers, by the input and by all trained parameters.
    let private slopes (case: Case) (instance: Instance) (x: torch.Tensor) (way: Way) =
        use _ = torch.enable_grad ()

        let trained =
            instance.Parameters
            |> List.filter (fun (_, parameter) -> parameter.requires_grad)

        let leaf = x.detach().clone().requires_grad_()
        let output = way leaf

        if not output.requires_grad then
            None
        else
            let weights =
                Measuring.numbers case.Seed "weights of the output" output.shape
                |> fun numbers -> numbers.``to`` output.dtype

            for _, parameter in trained do
                parameter.grad <- null

            (output * weights).sum().backward()

            Some
                [ for name, tensor in ("the input", leaf) :: trained ->
                      match tensor.grad with
                      | null -> name, torch.zeros_like tensor
                      | slope -> name, slope.detach().clone() ]

    /// Both gradients for one input; measured by the largest of all, for a small one is often what terms of that size leave.
    let private gradients
        (case: Case)
        elementType
        (instance: Instance)
        (one: string * Way)
        (other: string * Way)
        =
        let x = input case elementType

        match slopes case instance x (snd one), slopes case instance x (snd other) with
        | None, None -> Verdict.CannotAsk "its output has no gradient"
        | None, Some _
        | Some _, None ->
            Verdict.Breaks(
                List.ofArray x.shape,
                $"{fst one} and {fst other} should both have gradients, and only one has",
                []
            )
        | Some expected, Some actual ->
            let tolerance = Measuring.toleranceOf case.Subject elementType instance

            let largest = expected |> List.map (snd >> Measuring.magnitude) |> List.fold max 1.0

            let deviation (_, expected) (_, actual) =
                Measuring.difference expected actual
                * max (Measuring.magnitude expected) (Measuring.magnitude actual)
                / largest

            let worst, (name, expected), (_, actual) =
                List.map2 (fun one other -> deviation one other, one, other) expected actual
                |> List.maxBy (fun (deviation, _, _) -> deviation)

            if worst <= tolerance then
                Verdict.Holds [ "largest disagreement of gradients", worst ]
            else
                Verdict.Breaks(
                    List.ofArray x.shape,
                    $"The gradient by {name} should be the same by {fst one} and by {fst other}; the largest difference is {Comparison.figure worst} of the largest gradient, where rounding explains {Comparison.figure tolerance}: {Comparison.where expected actual}.",
                    []
                )

    /// A way on a backend.
    let private on (backend: Backend) (instance: Instance) : Way =
        fun x ->
            use _ = Backends.Use backend
            instance.Forward x

    /// <summary>Every backend computes the same outputs: standard operators, and the fastest that takes the input.</summary>
    /// <remarks>What uses no layer of this library computes the same twice, and holds.</remarks>
    let backends: Property =
        Ask.cases
            "agreement of backends"
            "the fastest backend gives the outputs of standard operators"
            (fun case ->
                let elementType = elementType case
                use instance = case.Subject.Build case.Seed elementType

                outputs
                    case
                    elementType
                    instance
                    $"The backends {Backend.Composite} and {Backend.Auto} should give the same outputs in {elementType}"
                    (on Backend.Composite instance)
                    (on Backend.Auto instance))

    /// Every backend computes the same gradients, by the input and by all trained parameters.
    let backendGradients: Property =
        Ask.cases
            "agreement of gradients"
            "the fastest backend gives the gradients of standard operators"
            (fun case ->
                let elementType = elementType case
                use instance = case.Subject.Build case.Seed elementType

                gradients
                    case
                    elementType
                    instance
                    (string Backend.Composite, on Backend.Composite instance)
                    (string Backend.Auto, on Backend.Auto instance))

    /// <summary>A rewriting of a module for inference leaves its outputs as they are.</summary>
    /// <param name="name">The property's name.</param>
    /// <param name="rewrite">Rewrites a module in place; false where there is nothing to rewrite.</param>
    /// <example><code lang="fsharp">Agreement.rewritten "folding" (Func&lt;_, _&gt;(fun layer -> fold layer))</code></example>
    let rewritten (name: string) (rewrite: Func<torch.nn.Module, bool>) : Property =
        Ask.cases name "rewriting the weights for inference leaves the outputs as they are" (fun case ->
            let elementType = elementType case
            use instance = case.Subject.Build case.Seed elementType

            match instance.Module with
            | None -> Verdict.CannotAsk "a function has no weights to rewrite"
            | Some root ->
                let mutable isRewritten = false

                let after x =
                    isRewritten <- rewrite.Invoke root
                    instance.Forward x

                let verdict =
                    outputs
                        case
                        elementType
                        instance
                        $"Rewriting the weights should leave the outputs as they are in {elementType}"
                        instance.Forward
                        after

                match verdict with
                | Verdict.Holds _ when not isRewritten -> Verdict.CannotAsk "nothing in it can be rewritten"
                | verdict -> verdict)

    let private merge (root: torch.nn.Module) =
        let layers =
            Comparison.modules root
            |> List.choose (fun (_, part) ->
                match part with
                | :? SlideLayer as slide -> Some slide
                | _ -> None)

        for slide in layers do
            slide.merge_shifts ()

        not layers.IsEmpty

    /// Merging the convolutions of slide layers, wherever in a module they stand, leaves its outputs as they are.
    let merged: Property = rewritten "agreement of merged weights" (Func<_, _> merge)

    /// A new name among temporary files, gone afterwards.
    let private temporary (body: string -> 'result) =
        let path =
            Path.Combine(Path.GetTempPath(), $"local-attention-{Guid.NewGuid():N}.tmp")

        try
            body path
        finally
            File.Delete path

    /// A model from a checkpoint alone.
    let private throughCheckpoint (case: Case) elementType (instance: Instance) (model: Backbone) =
        use loaded =
            temporary (fun path ->
                Checkpoint.Save(model, path)
                Checkpoint.Load path)

        loaded.eval ()

        outputs
            case
            elementType
            instance
            $"A model loaded from its checkpoint should give the outputs of the one that was saved in {elementType}"
            instance.Forward
            loaded.forward

    /// A module made anew from another seed, filled from the file of a state dict.
    let private throughState (case: Case) elementType (instance: Instance) (root: torch.nn.Module) =
        use other =
            case.Subject.Build (Measuring.derived case.Seed "the module that loads") elementType

        match other.Module with
        | None -> Verdict.CannotAsk "a function keeps nothing that could be saved"
        | Some target ->
            temporary (fun path ->
                root.save path |> ignore
                target.load path |> ignore)

            other.Train false

            outputs
                case
                elementType
                instance
                $"A new module that loads the state of another should give its outputs in {elementType}"
                instance.Forward
                other.Forward

    /// <summary>Saving and loading keeps the outputs.</summary>
    /// <remarks>
    /// A model of this library goes through a safetensors checkpoint, from which it is rebuilt; any other module through the
    /// file of its state dict into a module made from another seed. What an output depends on and the state does not hold,
    /// such as a tensor that is not registered, breaks it.
    /// </remarks>
    let saved: Property =
        Ask.cases
            "agreement of saved weights"
            "what is loaded gives the outputs of what was saved"
            (fun case ->
                let elementType = elementType case
                use instance = case.Subject.Build case.Seed elementType

                match instance.Module with
                | None -> Verdict.CannotAsk "a function keeps nothing that could be saved"
                | Some(:? Backbone as model) -> throughCheckpoint case elementType instance model
                | Some root -> throughState case elementType instance root)

    /// <summary>A subject gives the outputs of another implementation of it.</summary>
    /// <remarks>
    /// Parameters and buffers of the same names and shapes get the values of the subject's. Where names differ, both must
    /// build the same weights from the same seed.
    /// </remarks>
    /// <param name="name">The property's name.</param>
    /// <param name="other">The other implementation.</param>
    let between (name: string) (other: Subject) : Property =
        Ask.cases name $"it gives the outputs of {other.Name}" (fun case ->
            if not (other.Takes case.Subject.Size) then
                Verdict.CannotAsk $"{other.Name} takes no input of {case.Subject.Size}"
            else
                let elementType = elementType case
                use instance = case.Subject.Build case.Seed elementType
                use second = other.Build case.Seed elementType
                Comparison.copy (Comparison.state instance) (Comparison.state second) |> ignore

                outputs
                    case
                    elementType
                    instance
                    $"{case.Subject.Name} and {other.Name} should give the same outputs in {elementType}"
                    second.Forward
                    instance.Forward)

    /// <summary>The same, where the other implementation is a function of the subject's instance and the input.</summary>
    /// <param name="name">The property's name.</param>
    /// <param name="second">Computes the output in another way, from the instance's weights where it has such.</param>
    /// <example><code lang="fsharp">Agreement.computed "export" (Func&lt;_, _, _&gt;(fun instance x -> runExported instance x))</code></example>
    let computed (name: string) (second: Func<Instance, torch.Tensor, torch.Tensor>) : Property =
        Ask.cases name "it gives the outputs of a second way to compute it" (fun case ->
            let elementType = elementType case
            use instance = case.Subject.Build case.Seed elementType

            outputs
                case
                elementType
                instance
                $"{case.Subject.Name} and {name} should give the same outputs in {elementType}"
                (fun x -> second.Invoke(instance, x))
                instance.Forward)

    /// <summary>The same for an exported file, which is in single precision.</summary>
    /// <param name="run">Exports an instance and runs what it exported.</param>
    let exported (run: Func<Instance, torch.Tensor, torch.Tensor>) : Property =
        Ask.cases "agreement of the export" "what is exported gives the same outputs" (fun case ->
            let elementType = torch.ScalarType.Float32
            use instance = case.Subject.Build case.Seed elementType

            outputs
                case
                elementType
                instance
                "What is exported should give the same outputs"
                instance.Forward
                (fun x -> run.Invoke(instance, x)))

    /// Those that need no second implementation.
    let all: Property list = [ backends; backendGradients; merged; saved ]
