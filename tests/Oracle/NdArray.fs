namespace LocalAttention.Oracle

/// A dense array of any number of dimensions, row-major: nothing but a shape and its elements.
[<Sealed; AllowNullLiteral(false)>]
type NdArray<'T>(shape: int array, elements: 'T array) =
    do
        let expected = Array.fold (*) 1 shape

        if elements.Length <> expected then
            invalidArg
                (nameof elements)
                $"An array of shape %A{shape} has {expected} elements, and {elements.Length} were given."

    let offset (index: int array) =
        if index.Length <> shape.Length then
            invalidArg
                (nameof index)
                $"An array of shape %A{shape} takes {shape.Length} indices, not {index.Length}."

        let mutable position = 0

        for axis in 0 .. shape.Length - 1 do
            if index[axis] < 0 || index[axis] >= shape[axis] then
                invalidArg (nameof index) $"Index %A{index} is outside an array of shape %A{shape}."

            position <- position * shape[axis] + index[axis]

        position

    /// The length of each dimension.
    member _.Shape = shape
    /// The elements in row-major order.
    member _.Elements = elements

    /// The shape and the first elements.
    override _.ToString() =
        let sides = shape |> Array.map string |> String.concat "×"
        let first = elements |> Seq.truncate 6 |> Seq.map string |> String.concat ", "
        let rest = if elements.Length > 6 then ", …" else ""
        $"{sides} [{first}{rest}]"

    /// The element at an index of any rank.
    member _.At(index: int array) = elements[offset index]
    /// The element of a vector.
    member _.Item(i) = elements[offset [| i |]]
    /// The element of a matrix.
    member _.Item(i, j) = elements[offset [| i; j |]]
    /// The element of an array of rank 3.
    member _.Item(i, j, k) = elements[offset [| i; j; k |]]
    /// The element of an array of rank 4.
    member _.Item(i, j, k, l) = elements[offset [| i; j; k; l |]]

/// Making and changing dense arrays.
module NdArray =
    /// The array of a shape with these elements.
    let ofArray (shape: int seq) (elements: 'T array) = NdArray(Array.ofSeq shape, elements)

    /// The number of elements of a shape.
    let count (shape: int array) = Array.fold (*) 1 shape

    /// The array whose element is a function of its index.
    let init (shape: int array) (element: int array -> 'T) =
        let index = Array.zeroCreate<int> shape.Length

        let advance () =
            let mutable axis = shape.Length - 1
            let mutable carry = true

            while carry && axis >= 0 do
                index[axis] <- index[axis] + 1
                carry <- index[axis] = shape[axis]

                if carry then
                    index[axis] <- 0
                    axis <- axis - 1

        NdArray(
            shape,
            Array.init (count shape) (fun _ ->
                let value = element (Array.copy index)
                advance ()
                value)
        )

    /// The array of a shape with one value everywhere.
    let create (shape: int array) (value: 'T) =
        NdArray(shape, Array.create (count shape) value)

    /// A function of each element.
    let map (f: 'T -> 'U) (array: NdArray<'T>) =
        NdArray(array.Shape, Array.map f array.Elements)

    /// A function of each pair of elements of two arrays of one shape.
    let map2 (f: 'T -> 'U -> 'V) (a: NdArray<'T>) (b: NdArray<'U>) =
        if a.Shape <> b.Shape then
            invalidArg (nameof b) $"Arrays of shapes %A{a.Shape} and %A{b.Shape} have no pairs of elements."

        NdArray(a.Shape, Array.map2 f a.Elements b.Elements)

    /// The same elements in another shape.
    let reshape (shape: int array) (array: NdArray<'T>) = NdArray(shape, array.Elements)

    /// The sum of the products of two arrays.
    let dot (a: NdArray<float>) (b: NdArray<float>) = (map2 (*) a b).Elements |> Array.sum

    /// The largest magnitude; zero for an empty array.
    let largest (array: NdArray<float>) =
        array.Elements |> Array.fold (fun most element -> max most (abs element)) 0.0

    /// The largest difference of two arrays, relative to the largest magnitude of the second. Not a number where
    /// either array has an element that is none.
    let relativeError (actual: NdArray<float>) (expected: NdArray<float>) =
        let difference = map2 (-) actual expected

        if Array.exists System.Double.IsNaN difference.Elements then
            nan
        else
            largest difference / max (largest expected) System.Double.Epsilon

    /// The array moved along its second and third dimension with wrap-around: positions of a `[B, H, W, C]` map.
    let roll (down: int) (right: int) (map: NdArray<'T>) =
        let wrap length position = ((position % length) + length) % length

        init map.Shape (fun index ->
            map[index[0], wrap map.Shape[1] (index[1] - down), wrap map.Shape[2] (index[2] - right), index[3]])
