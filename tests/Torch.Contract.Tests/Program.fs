module LocalAttention.Tests.Program

open Expecto

/// One after the other: seed, thread count and default dtype belong to the whole process.
let private contract =
    testSequenced (
        testList
            "contract"
            [ Creation.tests
              Numbers.tests
              Printing.tests
              Arithmetic.tests
              Indexing.tests
              Views.tests
              Reductions.tests
              LinearMaps.tests
              Neighbourhoods.tests
              Activations.tests
              Losses.tests
              Errors.tests
              Scopes.tests
              Gradients.tests
              CustomFunctions.tests
              Modules.tests
              ModuleState.tests
              Initialization.tests
              Optimizers.tests
              Schedules.tests
              Randomness.tests
              DataLoading.tests
              Memory.tests ]
    )

[<EntryPoint>]
let main arguments =
    match List.ofArray arguments with
    | [ "memory"; load ] -> MemoryLoads.run load
    | _ -> runTestsWithCLIArgs [] arguments contract
