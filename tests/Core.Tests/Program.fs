module LocalAttention.Core.Tests.Program

open Expecto

[<EntryPoint>]
let main arguments =
    [ testList "specification" [ Values.tests; Json.tests; ValidationTexts.tests ]
      testList "layers" [ AgainstOracle.tests; Laws.tests; Equivariance.tests ]
      testList "backbones" [ Zoo.tests; Building.tests; WholeModels.tests ]
      testList "goldens" [ LayerGoldens.tests; MicroModels.tests; FullModels.tests ] ]
    |> testList "core"
    |> runTestsWithCLIArgs [] arguments
