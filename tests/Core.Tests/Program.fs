module LocalAttention.Core.Tests.Program

open Expecto
open TorchSharp

[<EntryPoint>]
let main arguments =
    // The tensors are tiny: threads would spend their time waiting for each other. Full models take all that there are.
    torch.set_num_threads 1

    [ testList "specification" [ Values.tests; Json.tests; ValidationTexts.tests ]
      testList "layers" [ AgainstOracle.tests; Laws.tests; Equivariance.tests ]
      testList "backbones" [ Zoo.tests; Building.tests; WholeModels.tests; Features.tests ]
      testList
          "analysis"
          [ Costs.tests
            Memory.tests
            Latency.tests
            ReceptiveFields.tests
            EquivarianceOfModels.tests ]
      testList "dense tasks" [ PaperFigures.tests; DenseModels.tests ]
      testList "goldens" [ LayerGoldens.tests; MicroModels.tests; FullModels.tests ] ]
    |> testList "core"
    |> runTestsWithCLIArgs [] arguments
