/// Each mistake is found by the property that is there for it, and the sound layer passes that property.
module LocalAttention.Verification.Tests.MistakeTests

open System
open Expecto
open LocalAttention.Verification
open LocalAttention.Verification.Tests.Mistakes

let private settings =
    { Verify.settings with
        Cases = 8
        Seed = 7L
        Shrinks = 20 }

let private isFound (mistake: Mistake) =
    testCase mistake.Name
    <| fun () ->
        let finding = mistake.Property.Ask settings mistake.Broken

        match finding.Outcome with
        | Outcome.Fails found ->
            Expect.isFalse
                (found.Explanation.Contains("threw", StringComparison.Ordinal))
                $"found by what it computes: {found.Explanation}"

            // The counterexample is one: its seed gives it again, as the only case.
            let again =
                let size =
                    match mistake.Broken.Layout, found.Input with
                    | Layout.Tokens, [ _; height; width; _ ]
                    | Layout.Images, [ _; _; height; width ] ->
                        LocalAttention.Core.Specification.ImageSize(int height, int width)
                    | _, shape -> failtest $"an input of four dimensions, not {shape}"

                mistake.Property.Ask
                    { settings with
                        Cases = 1
                        Seed = found.Seed
                        Shrinks = 0 }
                    { mistake.Broken with Size = size }

            Expect.isFalse again.IsSound $"{mistake.Property.Name} finds it again from seed {found.Seed}"
        | outcome -> failtest $"{mistake.Property.Name} should find it, and: {outcome}"

        let sound = mistake.Property.Ask settings mistake.Sound

        match sound.Outcome with
        | Outcome.Holds cases -> Expect.isGreaterThan cases 0 "cases that were asked"
        | outcome -> failtest $"{mistake.Property.Name} should hold for the sound layer, and: {outcome}"

/// The tests of this file.
let tests = testSequenced (testList "mistakes are found" (all |> List.map isFound))
