namespace LocalAttention.Oracle

open LocalAttention.Oracle.Numeric
open LocalAttention.Oracle.Linear

/// CSwin's attention as plain loops, with the depthwise 3×3 convolution of the values that it adds. Parameters: `qkv`, `proj`,
/// and `get_v` for attention to the whole map, `get_v_vertical` and `get_v_horizontal` for stripes.
module Enhanced =
    /// First place and behind the last, of rows and of columns.
    type private Region = { Rows: int * int; Columns: int * int }

    /// A region for each head and token, inside which it attends and its values are convolved; and for each channel the
    /// convolution and the channel in it.
    let private forward<'T when 'T :> INumeric<'T>>
        heads
        order
        (regionOf: int -> int -> int -> Region)
        (convolutionOf: int -> string * int)
        (parameters: Parameters<'T>)
        (x: NdArray<'T>)
        : NdArray<'T> =
        let channels = x.Shape[3]
        let depth = channels / heads
        let projected = x |> perToken (apply parameters [ "qkv" ])

        /// Part 0 (query), 1 (key) or 2 (value) of a head of a token.
        let part which n b y x =
            let first =
                match order with
                | QkvOrder.QkvMajor -> which * channels + n * depth
                | QkvOrder.HeadMajor -> n * 3 * depth + which * depth

            Array.init depth (fun c -> projected[b, y, x, first + c])

        let enhancement n region b y x c : 'T =
            let name, channel = convolutionOf (n * depth + c)
            let kernel = parameter $"{name}.weight" parameters
            let bias = parameter $"{name}.bias" parameters

            let around: 'T =
                total
                    [ for down in -1 .. 1 do
                          for right in -1 .. 1 do
                              let row, column = y + down, x + right

                              if
                                  row >= fst region.Rows
                                  && row < snd region.Rows
                                  && column >= fst region.Columns
                                  && column < snd region.Columns
                              then
                                  (part 2 n b row column)[c] * kernel[channel, 0, down + 1, right + 1] ]

            around + bias[channel]

        let attend n b y x : 'T array =
            let region = regionOf n y x

            let others which =
                [| for row in fst region.Rows .. snd region.Rows - 1 do
                       for column in fst region.Columns .. snd region.Columns - 1 -> part which n b row column |]

            let keys = others 1
            let noBias: 'T array = Array.create keys.Length (constant 0.0)
            let attended = Attending.attend (part 0 n b y x) keys noBias (others 2)
            Array.init depth (fun c -> attended[c] + enhancement n region b y x c)

        NdArray.ofArray
            x.Shape
            [| for b in 0 .. x.Shape[0] - 1 do
                   for y in 0 .. x.Shape[1] - 1 do
                       for x in 0 .. x.Shape[2] - 1 do
                           for n in 0 .. heads - 1 do
                               yield! attend n b y x |]
        |> perToken (apply parameters [ "proj" ])

    /// Attention of all tokens to all.
    let whole<'T when 'T :> INumeric<'T>>
        heads
        order
        (parameters: Parameters<'T>)
        (x: NdArray<'T>)
        : NdArray<'T> =
        let region =
            { Rows = 0, x.Shape[1]
              Columns = 0, x.Shape[2] }

        forward heads order (fun _ _ _ -> region) (fun channel -> "get_v", channel) parameters x

    /// Cross-shaped windows: the first half of the heads in vertical stripes, the second in horizontal ones; the last stripe is
    /// what is left of the map.
    let crossShaped<'T when 'T :> INumeric<'T>>
        heads
        stripe
        (parameters: Parameters<'T>)
        (x: NdArray<'T>)
        : NdArray<'T> =
        let half = x.Shape[3] / 2

        let stripeOf place length =
            place / stripe * stripe, min length ((place / stripe + 1) * stripe)

        let region n y column =
            if n < heads / 2 then
                { Rows = 0, x.Shape[1]
                  Columns = stripeOf column x.Shape[2] }
            else
                { Rows = stripeOf y x.Shape[1]
                  Columns = 0, x.Shape[2] }

        let convolution channel =
            if channel < half then
                "get_v_vertical", channel
            else
                "get_v_horizontal", channel - half

        forward heads QkvOrder.QkvMajor region convolution parameters x
