namespace LocalAttention.Verification

open System
open LocalAttention.Core.Specification
open TorchSharp

/// How often the predicted class survives a shift.
[<RequireQualifiedAccess>]
module Consistency =
    /// Shifts of each image.
    let private shifts = 8

    /// An image of slow waves, as photographs are smooth: shifts of noise are other noise.
    let private image (case: Case) (size: ImageSize) =
        let subject = case.Subject
        let height, width = size.Height, size.Width

        let waves channel =
            [ for wave in 0..3 ->
                  let draw name =
                      float (Measuring.choice case.Seed $"{name} {channel} {wave}" 1000) / 1000.0
                  // A few periods over the image, in any direction.
                  let rows = (6.0 * draw "rows" - 3.0) / float height
                  let columns = (6.0 * draw "columns" - 3.0) / float width
                  rows, columns, draw "phase" ]

        let waves = [| for channel in 0 .. subject.Channels - 1 -> waves channel |]

        let value channel row column =
            waves[channel]
            |> List.sumBy (fun (rows, columns, phase) ->
                0.5 * sin (2.0 * Math.PI * (rows * float row + columns * float column + phase)))

        let elements =
            [| for row in 0 .. height - 1 do
                   for column in 0 .. width - 1 do
                       for channel in 0 .. subject.Channels - 1 -> value channel row column |]

        let map =
            torch.tensor (elements, ReadOnlySpan [| 1L; int64 height; int64 width; int64 subject.Channels |])

        match subject.Layout with
        | Layout.Tokens -> map
        | Layout.Images -> map.permute(0L, 3L, 1L, 2L).contiguous()

    let private check (case: Case) =
        let subject = case.Subject
        // As the literature shifts 224 of 256 pixels: by up to an eighth of the side.
        let most length = max 1 (length / 8)
        let down, right = most subject.Size.Height, most subject.Size.Width
        use instance = subject.Build case.Seed torch.ScalarType.Float32
        let rows, columns = Measuring.axes subject.Layout

        let large =
            (image case (ImageSize(subject.Size.Height + down, subject.Size.Width + right)))
                .``to``(torch.ScalarType.Float32)

        let predicted top left =
            let crop =
                large
                    .narrow(rows, int64 top, int64 subject.Size.Height)
                    .narrow(columns, int64 left, int64 subject.Size.Width)
                    .contiguous()

            let output = Measuring.evaluate instance.Forward crop

            if output.shape.Length = 2 && output.shape[1] > 1L then
                Some(output.argmax(1L).item<int64>())
            else
                None

        match predicted 0 0 with
        | None -> Verdict.CannotAsk "its output is no vector of scores for classes"
        | Some first ->
            let survives shift =
                let top = Measuring.choice case.Seed $"down {shift}" (down + 1)
                // Never no shift at all.
                let left =
                    if top = 0 then
                        1 + Measuring.choice case.Seed $"right {shift}" right
                    else
                        Measuring.choice case.Seed $"right {shift}" (right + 1)

                predicted top left = Some first

            let surviving = Seq.init shifts survives |> Seq.filter id |> Seq.length
            Verdict.Holds [ "mean consistency", float surviving / float shifts ]

    /// <summary>
    /// The consistency of the shift-invariance literature (Zhang, arXiv 1904.11486): how often the class that is predicted
    /// stays the same when the image moves by up to an eighth of its side. A figure between 0 and 1, never a failure.
    /// </summary>
    /// <remarks>Images are sums of slow waves. The figure says most of a trained model.</remarks>
    let predictions: Property =
        Ask.cases "consistency" "the predicted class mostly survives a small shift of the image" check
