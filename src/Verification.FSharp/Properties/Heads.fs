namespace LocalAttention.Verification

open System
open TorchSharp

/// Heads are told apart by nothing but their parameters.
[<RequireQualifiedAccess>]
module Heads =
    let private statement =
        "heads that trade places with the parameters that belong to them leave the output as it is"

    /// An order of some heads, drawn from a seed: any but the one they have, where there are two or more.
    let private shuffled (seed: int64) (heads: int list) =
        let order =
            heads
            |> List.sortBy (fun head -> Measuring.derived seed $"place of head {head}")

        match order with
        | first :: rest when order = heads -> rest @ [ first ]
        | _ -> order

    let private orderOf seed (groups: int list list) =
        groups |> List.collect (shuffled seed) |> Array.ofList

    let private verdict (case: Case) (instance: Instance) what (permute: unit -> unit) =
        let x =
            Measuring.input
                case.Subject
                case.Seed
                (1 + Measuring.choice case.Seed "batch" 2)
                torch.ScalarType.Float64

        let before = Measuring.evaluate instance.Forward x
        permute ()

        Comparison.verdict
            case.Subject
            x
            (Measuring.toleranceOf case.Subject torch.ScalarType.Float64 instance)
            "largest change"
            $"Permuting {what}, with the parameters that belong to them, should leave the output as it is"
            before
            (Measuring.evaluate instance.Forward x)

    let private text (order: int[]) =
        let heads = order |> Seq.map string |> String.concat ", "
        $"heads to {heads}"

    /// The layers of this library with heads that can trade places, with an order for each.
    let private layersOf seed (root: torch.nn.Module) =
        [ for name, part in Comparison.modules root do
              match HeadOrder.attentionOf part with
              | Some attention when HeadOrder.groups attention |> List.exists (fun group -> group.Length > 1) ->
                  name, part, orderOf (Measuring.derived seed name) (HeadOrder.groups attention)
              | _ -> () ]

    let private built (case: Case) (check: Instance -> 'result) =
        use instance = case.Subject.Build case.Seed torch.ScalarType.Float64
        check instance

    /// All layers at once; where that fails, the first that fails alone.
    let private ownLayers (case: Case) =
        let layers (instance: Instance) =
            match instance.Module with
            | Some root -> layersOf case.Seed root
            | None -> []

        let together =
            built case (fun instance ->
                match layers instance with
                | [] ->
                    Verdict.CannotAsk
                        "no attention layer of this library with two heads is in it; Heads.permutedBy takes a function that permutes heads of another"
                | all ->
                    verdict case instance "the heads of every layer" (fun () ->
                        for _, layer, order in all do
                            HeadOrder.apply order layer))

        match together with
        | Verdict.Breaks _
        | Verdict.BreaksAs _ ->
            let alone number =
                built case (fun instance ->
                    match List.tryItem number (layers instance) with
                    | Some(name, layer, order) ->
                        Some(
                            verdict case instance $"the {text order} in {name}" (fun () ->
                                HeadOrder.apply order layer)
                        )
                    | None -> None)

            Seq.initInfinite alone
            |> Seq.takeWhile Option.isSome
            |> Seq.choose id
            |> Seq.tryFind (fun verdict -> verdict.IsBreaks)
            |> Option.defaultValue together
        | verdict -> verdict

    /// <summary>Permuting the heads of this library's attention layers, wherever in a subject they stand.</summary>
    /// <remarks>
    /// Cross-shaped heads stay among those of their direction, and QnA's among those of their sign where a fixed scale divides
    /// them. What differs is the order in which the output's projection sums heads, so the bound is that of rounding.
    /// </remarks>
    let permutation: Property = Ask.cases "heads" statement ownLayers

    /// <summary>The same for a subject whose parameters a function permutes.</summary>
    /// <remarks>
    /// The subject says how many heads it has. With two heads some mistakes cannot be seen, such as each head taking the
    /// other's bias: prefer three or more.
    /// </remarks>
    /// <param name="permute">
    /// Permutes the parameters of an instance: for each head of the new order its number in the old one, from 0.
    /// </param>
    let permutedBy (permute: Action<Instance, int[]>) : Property =
        Ask.cases "heads" statement (fun case ->
            match case.Subject.Promises.Heads with
            | None
            | Some 0
            | Some 1 -> Verdict.CannotAsk "it does not promise two heads or more"
            | Some heads ->
                let order = orderOf case.Seed [ [ 0 .. heads - 1 ] ]

                built case (fun instance ->
                    verdict case instance $"the {text order}" (fun () ->
                        use _ = torch.no_grad ()
                        permute.Invoke(instance, order))))
