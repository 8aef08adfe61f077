module LocalAttention.Verification.Tests.Program

open Expecto

[<EntryPoint>]
let main arguments =
    // One after the other: the tensor library's random numbers and its memory are the whole process's.
    [ AskingTests.tests
      SpaceTests.tests
      AgreementTests.tests
      GradientsTests.tests
      HeadsTests.tests
      PrecisionTests.tests
      ModesTests.tests
      MemoryTests.tests
      MistakeTests.tests
      SoundTests.tests
      ReportTests.tests
      GeneratorTests.tests
      PromptTests.tests ]
    |> testList "verification"
    |> testSequenced
    |> runTestsWithCLIArgs [] arguments
