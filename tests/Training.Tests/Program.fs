module LocalAttention.Training.Tests.Program

open Expecto

[<EntryPoint>]
let main arguments =
    match List.ofArray arguments with
    | Child.Mode :: rest -> Child.main (Array.ofList rest)
    | _ ->
        // One after the other: the tensor library's random numbers are the whole process's.
        [ testList
              "checkpoints"
              [ ElementTypes.tests
                RoundTrips.tests
                Names.tests
                OfficialFiles.tests
                Mismatches.tests
                Headers.tests
                Damage.tests
                AtomicWrites.tests
                Formats.tests
                TorchFiles.tests
                FlaxFiles.tests
                Fuzzing.tests ]
          testList
              "data"
              [ IdxFiles.tests
                ImageDatasets.tests
                PngFiles.tests
                PortableMaps.tests
                ImageFolders.tests ]
          Received.tests
          testList
              "training"
              [ Recipes.tests
                Augmentations.tests
                Losses.tests
                Evaluations.tests
                Runs.tests
                Resumptions.tests
                Divergence.tests
                Interruptions.tests ] ]
        |> testList "training and files"
        |> testSequenced
        |> runTestsWithCLIArgs [] arguments
