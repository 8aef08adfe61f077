namespace LocalAttention.Oracle

open LocalAttention.Oracle.Numeric

/// The parameters of a layer by their official names.
type Parameters<'T> = Map<string, NdArray<'T>>

/// Parameters by name, and linear maps in both conventions.
module Linear =
    /// The parameter of a name.
    let parameter (name: string) (parameters: Parameters<'T>) =
        match Map.tryFind name parameters with
        | Some array -> array
        | None ->
            let known = parameters |> Map.toSeq |> Seq.map fst |> String.concat ", "
            invalidArg (nameof name) $"There is no parameter '{name}'; there are {known}."

    /// The linear map of the vector `x` to `outputs` numbers: with PyTorch's `NAME.weight [out, in]` and `NAME.bias`, or
    /// Flax's `NAME/kernel [in, out]` and `NAME/bias`, whichever is there; the bias is optional.
    let apply<'T when 'T :> INumeric<'T>>
        (parameters: Parameters<'T>)
        (names: string list)
        : ('T array -> 'T array) =
        let find (suffix: string) =
            names |> List.tryPick (fun name -> Map.tryFind (name + suffix) parameters)

        let weight, bias, width =
            match find ".weight", find "/kernel" with
            | Some weight, _ -> (fun o c -> weight[o, c]), find ".bias", weight.Shape[0]
            | None, Some kernel -> (fun o c -> kernel[c, o]), find "/bias", kernel.Shape[1]
            | None, None ->
                let tried = String.concat " or " names
                invalidArg (nameof names) $"There are no weights of {tried}."

        fun x ->
            Array.init width (fun o ->
                let product = sum x.Length (fun c -> x[c] * weight o c)

                match bias with
                | Some bias -> product + bias[o]
                | None -> product)

    /// The channels of one token of a `[B, H, W, C]` map.
    let token (map: NdArray<'T>) batch y x =
        Array.init map.Shape[3] (fun c -> map[batch, y, x, c])

    /// A function of the tokens of a map, as a map.
    let perToken (f: 'T array -> 'U array) (map: NdArray<'T>) =
        let b, h, w = map.Shape[0], map.Shape[1], map.Shape[2]

        let tokens =
            [| for batch in 0 .. b - 1 do
                   for y in 0 .. h - 1 do
                       for x in 0 .. w - 1 do
                           f (token map batch y x) |]

        NdArray.ofArray [ b; h; w; tokens[0].Length ] (Array.concat tokens)
