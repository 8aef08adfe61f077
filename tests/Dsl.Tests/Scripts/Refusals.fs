/// Mistakes that the compiler refuses before anything runs, told at the place where they stand.
module LocalAttention.Dsl.Tests.Refusals

open System
open System.Text.RegularExpressions
open Expecto

/// What is wrong, the error's number, words that the error has, and the line of a script.
let private refused =
    [ "a stage of blocks without heads", "FS0001", "HeadsMissing", "stage (2 * qna 3)"
      "heads missing in one of two rows", "FS0001", "HeadsMissing", "(qna 3 |> heads 8) + window 7"
      "queries of a slide block", "FS0001", "QnA", "slide 3 |> queries 2"
      "padding of a QnA block", "FS0001", "Slide", "qna 3 |> padding EdgePadding.Circular"
      "a shift of blocks without windows", "FS0001", "Window", "shifted globalAttention"
      "a window of global attention", "FS0001", "HasWindow", "globalAttention |> windowSize 7"
      "a window of stripes", "FS0001", "HasWindow", "crossShaped 2 |> windowSize 7"
      "a dilation of windows", "FS0001", "Neighbourhood", "dilated 2 (window 7)"
      "enhanced values of neighbourhoods", "FS0001", "Global", "neighbourhood 7 |> locallyEnhanced"
      "a table of biases of stripes", "FS0001", "HasRelativeBias", "crossShaped 2 |> relativeBias true"
      "pooled keys from patches", "FS0001", "SpatialReduction", "pooledAttention 7 |> reduction 8"
      "a joint projection of a QnA block", "FS0001", "HasQkv", "qna 3 |> qkvBias false"
      "an output projection's bias of a slide block",
      "FS0001",
      "SelfAttention",
      "slide 3 |> projectionBias false"
      "downsampling by a slide block", "FS0041", "downsample", "someStage |> downsample (slide 3 |> heads 8)"
      "downsampling without heads", "FS0041", "downsample", "someStage |> downsample (qna 3)"
      "downsampling by two blocks", "FS0041", "downsample", "someStage |> downsample (2 * qna 3 |> heads 8)"
      "upsampling by a window", "FS0001", "QnA", "someStage |> upsample (window 7 |> heads 8)"
      "a stem in a stage's place",
      "FS0001",
      "Stage",
      "backbone \"x\" (patchify 4 8) |> stages [ patchify 4 8 ]"
      "another kind by everyQna", "FS0001", "QnA", "Swin.tiny |> everyQna (attention (slide 3))"
      "an attention with heads",
      "FS0001",
      "HeadsMissing",
      "Swin.tiny |> everyBlock (attention (slide 3 |> heads 3))"
      "queries of every block", "FS0001", "QnA", "Swin.tiny |> everyBlock (queries 4)"
      "queries of selected slide blocks", "FS0001", "QnA", "Swin.tiny |> rewrite Select.slide (queries 4)"
      "queries of whatever else is selected",
      "FS0001",
      "QnA",
      "Swin.tiny |> rewrite (Select.stage 1 <&> Select.not Select.qna) (queries 4)"
      "a replacement that knows its heads",
      "FS0001",
      "HeadsMissing",
      "Swin.tiny |> replace Select.all (slide 3 |> heads 3)"
      "blocks in a model without a stage",
      "FS0001",
      "Stage",
      "backbone \"x\" (patchify 4 8) |> stages [ 2 * qna 3 |> heads 8 ]" ]

/// The same, written rightly: the checks above would be worth nothing if the compiler refused these too.
let private accepted =
    [ "stage (2 * qna 3 |> heads 8)"
      "(qna 3 |> heads 8) + (window 7 |> heads 8)"
      "qna 3 |> queries 2"
      "slide 3 |> padding EdgePadding.Circular"
      "shifted (window 7)"
      "window 7 |> windowSize 5"
      "slide 3 |> qkvBias false"
      "globalAttention |> projectionBias false"
      "neighbourhood 7 |> windowSize 5"
      "dilated 2 (neighbourhood 7)"
      "globalAttention |> locallyEnhanced"
      "neighbourhood 7 |> relativeBias true"
      "spatialReduction 7 |> reduction 8"
      "someStage |> downsample (qna 3 |> heads 8)"
      "someStage |> downsample merge"
      "someStage |> downsample (convolve 3)"
      "someStage |> upsample (qna 3 |> heads 8)"
      "Swin.tiny |> everyQna (attention (qna 5))"
      "Swin.tiny |> everyBlock (attention (slide 3))"
      "Swin.tiny |> everyBlock (whenQna (queries 4))"
      "Swin.tiny |> rewrite Select.qna (queries 4)"
      "Swin.tiny |> rewrite (Select.qna <&> Select.stage 1) (queries 4)"
      "Swin.tiny |> replace Select.all (slide 3)" ]

let private opening =
    [ "open LocalAttention.Core.Specification"
      "open LocalAttention.Dsl"
      "let someStage = stage (2 * slide 3 |> heads 4)" ]

/// The line, counted from the first refused one, the number and the words of each error. All are typed at one prompt: it
/// goes on after an error, as a script does not, and starting it is what costs.
let private errors =
    lazy
        (let typed =
            opening
            @ [ for _, _, _, line in refused -> $"let refused () = {line}" ]
            @ [ for line in accepted -> $"let accepted () = {line}" ]

         let input = String.Join(";;\n", typed) + ";;\n"
         let ended = Child.dotnet [ "fsi"; "--quiet"; Child.using ] input

         [ for error in Regex.Matches(ended.Error, @"stdin\((\d+),\d+\): error (FS\d+): ((?:[^\n]+\n)+)") ->
               int error.Groups[1].Value - opening.Length - 1, error.Groups[2].Value, error.Groups[3].Value ])

/// The tests of this file.
let tests =
    testList
        "refused by the compiler"
        [ for index, (name, number, words, line) in List.indexed refused do
              testCase name
              <| fun () ->
                  match errors.Value |> List.filter (fun (place, _, _) -> place = index) with
                  | [] -> failtest $"the compiler takes {line}"
                  | found ->
                      Expect.exists
                          found
                          (fun (_, code, text) ->
                              code = number && text.Contains(words, StringComparison.Ordinal))
                          $"an error {number} with the word {words}"

          testCase "and nothing else"
          <| fun () ->
              for place, number, text in errors.Value do
                  if place < 0 || place >= refused.Length then
                      let line =
                          List.tryItem (place - refused.Length) accepted
                          |> Option.defaultValue "the opening"

                      failtest $"{line}: {number}, {text}" ]
