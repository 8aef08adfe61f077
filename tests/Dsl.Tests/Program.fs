module LocalAttention.Dsl.Tests.Program

open Expecto
open TorchSharp

[<EntryPoint>]
let main arguments =
    // The tensors are tiny: threads would spend their time waiting for each other.
    torch.set_num_threads 1

    [ testList
          "laws"
          [ BlockLaws.tests
            WholeLaws.tests
            RewriteLaws.tests
            SelectionLaws.tests
            ScalingLaws.tests ]
      Declarations.tests
      Checking.tests
      PatternMatches.tests
      testList "printing" [ PrintedTexts.tests; PrintedLaws.tests ]
      DifferenceTexts.tests
      SweepTexts.tests
      Drawings.tests
      ModelVerbs.tests
      CostVerbs.tests
      DenseVerbs.tests
      testSequenced
      <| testList "scripts" [ Refusals.tests; Codes.tests; Samples.tests; Prompt.tests; ReadMe.tests ] ]
    |> testList "DSL"
    |> runTestsWithCLIArgs [] arguments
