module LocalAttention.Dsl.Tests.Program

open Expecto

[<EntryPoint>]
let main arguments =
    [ testList "laws" [ BlockLaws.tests; WholeLaws.tests; RewriteLaws.tests ]
      Declarations.tests
      Checking.tests
      PatternMatches.tests
      testList "printing" [ PrintedTexts.tests; PrintedLaws.tests ]
      ModelVerbs.tests
      testSequenced
      <| testList "scripts" [ Refusals.tests; Samples.tests; Prompt.tests; ReadMe.tests ] ]
    |> testList "DSL"
    |> runTestsWithCLIArgs [] arguments
