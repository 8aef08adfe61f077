/// Numbers in [-1, 1) that any language can make again from a name: a hash of it, then SplitMix64's output function.
module LocalAttention.Oracle.Counter

open System.Text

/// The 64-bit FNV-1a hash of a name in UTF-8.
let hash (name: string) =
    let step (state: uint64) (item: byte) =
        (state ^^^ uint64 item) * 0x00000100000001B3UL

    Array.fold step 0xCBF29CE484222325UL (Encoding.UTF8.GetBytes name)

/// The element of an index, from 0, of the numbers that belong to a hash.
let elementOf (seed: uint64) (index: int) =
    let mutable z = seed + (uint64 index + 1UL) * 0x9E3779B97F4A7C15UL
    z <- (z ^^^ (z >>> 30)) * 0xBF58476D1CE4E5B9UL
    z <- (z ^^^ (z >>> 27)) * 0x94D049BB133111EBUL
    z <- z ^^^ (z >>> 31)
    2.0 * (float (z >>> 11) * (1.0 / 9007199254740992.0)) - 1.0

/// The first numbers of a name.
let numbers (name: string) (count: int) =
    let seed = hash name
    Array.init count (elementOf seed)

/// The array of a shape filled with the numbers of a name.
let array (name: string) (shape: int array) =
    NdArray.ofArray shape (numbers name (NdArray.count shape))
