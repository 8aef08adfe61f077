namespace LocalAttention.Verification

open TorchSharp

/// The output for an image does not depend on which others are in its batch.
[<RequireQualifiedAccess>]
module BatchIndependence =
    let private check (case: Case) =
        let subject = case.Subject
        use instance = subject.Build case.Seed torch.ScalarType.Float64
        let count = 2 + Measuring.choice case.Seed "batch" 2
        let batch = Measuring.input subject case.Seed count torch.ScalarType.Float64
        let tolerance = Measuring.toleranceOf subject torch.ScalarType.Float64 instance
        let together = Measuring.evaluate instance.Forward batch

        if together.shape.Length = 0 || together.shape[0] <> int64 count then
            Verdict.Breaks(
                List.ofArray batch.shape,
                $"the output of {count} images should have {count} in its first dimension; its shape is {Comparison.shape together.shape}.",
                [ Measuring.pictureOf subject "the first image" batch ]
            )
        else
            // Matrix products may add up in another order for another number of rows.
            let compare image =
                let alone = batch.narrow(0L, int64 image, 1L).contiguous()

                Comparison.verdict
                    subject
                    alone
                    tolerance
                    "largest difference in a batch"
                    $"image {image + 1} of {count} should give in the batch what it gives alone"
                    (Measuring.evaluate instance.Forward alone)
                    (together.narrow (0L, int64 image, 1L))

            let verdicts = List.init count compare

            verdicts
            |> List.tryPick (fun verdict ->
                match verdict with
                | Verdict.Breaks(_, explanation, pictures) ->
                    // What has the mistake is the batch.
                    Some(Verdict.Breaks(List.ofArray batch.shape, explanation, pictures))
                | Verdict.Holds _
                | Verdict.BreaksAs _
                | Verdict.CannotAsk _ -> None)
            |> Option.defaultWith (fun () ->
                Verdict.Holds
                    [ for verdict in verdicts do
                          match verdict with
                          | Verdict.Holds figures -> yield! figures
                          | Verdict.Breaks _
                          | Verdict.BreaksAs _
                          | Verdict.CannotAsk _ -> () ])

    /// Each image of a batch gives what it gives alone, up to rounding, in double precision.
    let alone: Property =
        Ask.cases "batch independence" "an image's output does not depend on the others in its batch" check
