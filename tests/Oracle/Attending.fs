namespace LocalAttention.Oracle

open LocalAttention.Oracle.Numeric

/// What layers of dot-product attention share, one query of one head at a time.
module Attending =
    /// The channels of a head.
    let head depth n (token: 'T array) = Array.sub token (n * depth) depth

    /// `Σ_j softmax_j(q·k_j/√d + bias_j) · v_j`.
    let attend<'T when 'T :> INumeric<'T>>
        (query: 'T array)
        (keys: 'T array array)
        (biases: 'T array)
        (values: 'T array array)
        : 'T array =
        let factor = constant<'T>(1.0 / sqrt (float query.Length))

        let logit j : 'T =
            biases[j] + sum query.Length (fun c -> query[c] * (factor * keys[j][c]))

        let weights = Array.init keys.Length logit |> softmax
        Array.init query.Length (fun c -> sum keys.Length (fun j -> weights[j] * values[j][c]))

    /// The token of a map with zeros around it.
    let tokenOrZero<'T when 'T :> INumeric<'T>> (map: NdArray<'T>) batch y x : 'T array =
        if y >= 0 && y < map.Shape[1] && x >= 0 && x < map.Shape[2] then
            Linear.token map batch y x
        else
            Array.create map.Shape[3] (constant 0.0)

    /// The norm over the channels of a token, with the parameters `NAME.weight` and `NAME.bias`.
    let layerNorm<'T when 'T :> INumeric<'T>>
        (epsilon: float)
        (name: string)
        (parameters: Parameters<'T>)
        (token: 'T array)
        : 'T array =
        let weight = Linear.parameter $"{name}.weight" parameters
        let bias = Linear.parameter $"{name}.bias" parameters
        let share = constant<'T>(1.0 / float token.Length)
        let mean: 'T = share * total token

        let centred: 'T array = token |> Array.map (fun value -> value - mean)

        let variance: 'T = share * sum centred.Length (fun c -> centred[c] * centred[c])

        let deviation: 'T = squareRoot (variance + constant<'T> epsilon)

        Array.init centred.Length (fun c ->
            let normalised: 'T = centred[c] / deviation
            bias[c] + weight[c] * normalised)

    /// `x·Φ(x)`, the distribution function from its series `½ + φ(x)·(x + x³/3 + x⁵/(3·5) + …)`, whose terms have one sign;
    /// eighty of them leave less than 1e-16 where |x| is below 6.
    let gelu<'T when 'T :> INumeric<'T>> (x: 'T) : 'T =
        let square: 'T = x * x
        let mutable term: 'T = x
        let mutable series: 'T = x

        for n in 1..80 do
            term <- term * (square * constant (1.0 / float (2 * n + 1)))
            series <- series + term

        let density: 'T =
            constant (1.0 / sqrt (2.0 * System.Math.PI))
            * exponential (constant -0.5 * square)

        x * (constant 0.5 + density * series)
