namespace LocalAttention.Verification

open System
open System.Reflection
open TorchSharp

/// <summary>Whether memory comes back after use.</summary>
/// <remarks>
/// The tensor library counts the tensors that are neither disposed of nor collected (<c>torch.Tensor.TotalCount</c>); that count
/// is exact, and has no noise of its own. A tensor can also grow in place of another, so the bytes of the tensors in a module's
/// fields are counted beside it. Every call runs in a dispose scope. Some calls come first, for what is made once. What is
/// left is looked at after the collector has run, and only what grows by a tensor in every fourth call, or by a byte, in each of
/// several runs of calls is a leak: other threads may make and free tensors meanwhile.
/// </remarks>
[<RequireQualifiedAccess>]
module Memory =
    let private callsOfRun = 8
    let private runs = 4

    let private settle () =
        GC.Collect()
        GC.WaitForPendingFinalizers()

    let private bytes (tensor: torch.Tensor) =
        if tensor.IsInvalid then
            0L
        else
            tensor.NumberOfElements * tensor.ElementSize

    /// The fields of a module that hold tensors, its base classes' among them.
    let rec private fields (kind: Type) : FieldInfo list =
        match kind.BaseType with
        | null -> []
        | above when kind = typeof<torch.nn.Module> -> fields above
        | above ->
            let flags =
                BindingFlags.Instance
                ||| BindingFlags.Public
                ||| BindingFlags.NonPublic
                ||| BindingFlags.DeclaredOnly

            List.ofArray (kind.GetFields flags) @ fields above

    /// What a module's fields hold, by field.
    let private held (instance: Instance) : Map<string, int64> =
        let ofField (part: torch.nn.Module) (field: FieldInfo) =
            match field.GetValue part with
            | :? torch.Tensor as tensor -> bytes tensor
            | :? seq<torch.Tensor> as tensors -> Seq.sumBy bytes tensors
            | _ -> 0L

        match instance.Module with
        | None -> Map.empty
        | Some root ->
            Map
                [ for name, part in Comparison.modules root do
                      for field in fields (part.GetType()) do
                          $"{field.Name} of {name}", ofField part field ]

    /// What is in use after some calls and was not before: tensors for each call, and the field that grew.
    type private Growth =
        { Tensors: float
          Field: string option }

        member growth.IsLeak = growth.Tensors >= 0.25 || growth.Field.IsSome

    let private none = { Tensors = 0.0; Field = None }

    /// The growth over one run of calls.
    let private over (instance: Instance) (call: unit -> unit) collects =
        let fields, tensors = held instance, torch.Tensor.TotalCount

        for _ in 1..callsOfRun do
            call ()

        if collects then
            settle ()

        { Tensors = float (torch.Tensor.TotalCount - tensors) / float callsOfRun
          Field =
            held instance
            |> Map.tryFindKey (fun field bytes -> bytes > (fields.TryFind field |> Option.defaultValue 0L)) }

    /// The smallest growth of several runs of calls; the first shows mostly that there is none.
    let private growth (instance: Instance) (call: unit -> unit) =
        for _ in 1..callsOfRun do
            call ()

        settle ()

        if not (over instance call false).IsLeak then
            none
        else
            settle ()
            let all = [ for _ in 1..runs -> over instance call true ]

            if all |> List.forall _.IsLeak then
                all |> List.minBy _.Tensors
            else
                none

    let private evaluating (instance: Instance) (x: torch.Tensor) () =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        instance.Forward x |> ignore

    let private training (instance: Instance) (x: torch.Tensor) () =
        use _ = torch.NewDisposeScope()
        use _ = torch.enable_grad ()
        let output = instance.Forward(x.clone().requires_grad_())

        if output.requires_grad then
            output.sum().backward()

        for _, parameter in instance.Parameters do
            parameter.grad <- null

    let private check (case: Case) =
        use instance = case.Subject.Build case.Seed torch.ScalarType.Float32
        let x = Measuring.input case.Subject case.Seed 2 torch.ScalarType.Float32

        let verdict what (call: unit -> unit) =
            let growth = growth instance call

            if not growth.IsLeak then
                Verdict.Holds [ "largest number of tensors kept by a call", max 0.0 growth.Tensors ]
            else
                let where =
                    match growth.Field with
                    | Some field -> $"; the field {field} holds more and more"
                    | None -> ""

                Verdict.Breaks(
                    List.ofArray x.shape,
                    $"{what} inside a dispose scope should give back all memory it took; {Comparison.figure growth.Tensors} tensors of each call stay in use after the collector has run{where}.",
                    []
                )

        match verdict "A call in evaluation" (evaluating instance x) with
        | Verdict.Holds _ ->
            instance.Train true
            verdict "A step of training" (training instance x)
        | verdict -> verdict

    /// Calls in evaluation and in training, each in a dispose scope, leave no tensor behind.
    let returned: Property = Ask.cases "memory" "memory comes back after use" check
