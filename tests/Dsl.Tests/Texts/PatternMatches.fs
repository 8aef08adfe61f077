/// The active patterns know every case of the core's closed hierarchies, and hand out the record itself.
module LocalAttention.Dsl.Tests.PatternMatches

open System
open Expecto
open LocalAttention.Core.Specification
open LocalAttention.Dsl

let private matched (value: obj) (record: obj) =
    Expect.isTrue (Object.ReferenceEquals(value, record)) $"{value} is handed out"

let private cases: (string * Type * obj list * (obj -> unit)) list =
    [ "attention",
      typeof<Attention>,
      [ QnAAttention(3, 2)
        SlideAttention(3, 2)
        WindowAttention(7, 2)
        NeighbourhoodAttention(7, 2)
        CrossShapedAttention(2, 2)
        SpatialReductionAttention(8, 2)
        PooledAttention(7, 2)
        GlobalAttention 2 ],
      fun value ->
          match value :?> Attention with
          | QnA qna -> matched value qna
          | Slide slide -> matched value slide
          | Window window -> matched value window
          | Neighbourhood neighbourhood -> matched value neighbourhood
          | CrossShaped cross -> matched value cross
          | FewerKeys(SpatialReduction reduced) -> matched value reduced
          | FewerKeys(Pooled pooled) -> matched value pooled
          | Global everywhere -> matched value everywhere
      "query norm",
      typeof<QueryNorm>,
      [ FreeNorm(); UnitNorm(StopGradient = true); UnitNorm(); LargestNorm 2.0 ],
      fun value ->
          match value :?> QueryNorm with
          | Free -> Expect.equal (value.GetType()) typeof<FreeNorm> "free"
          | Unit held -> Expect.equal held (value :?> UnitNorm).StopGradient "unit"
          | Largest limit -> Expect.equal limit (value :?> LargestNorm).Limit "largest"
      "transition",
      typeof<Transition>,
      [ PatchMerging()
        StridedConvolution()
        QnADownsampling(QnAAttention(3, 2))
        QnAUpsampling(QnAAttention(3, 2)) ],
      fun value ->
          match value :?> Transition with
          | Merging merging -> matched value merging
          | Strided convolution -> matched value convolution
          | QnADown down -> matched value down
          | QnAUp up -> matched value up
      "stem",
      typeof<Stem>,
      [ PatchStem(4, 8); ConvolutionStem(ValueList.From [ Convolution(3, 2, 8) ]) ],
      fun value ->
          match value :?> Stem with
          | Patches patches -> matched value patches
          | Convolutions convolutions -> matched value convolutions
      "head",
      typeof<Head>,
      [ AveragePoolHead 10; QnAPoolHead(10, 2); ClassTokenHead 10 ],
      fun value ->
          match value :?> Head with
          | AveragePool average -> matched value average
          | QnAPool pool -> matched value pool
          | ClassToken token -> matched value token ]

/// The tests of this file.
let tests =
    testList
        "patterns"
        [ for name, hierarchy, values, check in cases ->
              testCase name
              <| fun () ->
                  let kinds =
                      [ for kind in hierarchy.Assembly.GetTypes() do
                            if kind.IsSubclassOf hierarchy && not kind.IsAbstract then
                                kind.Name ]

                  Expect.containsAll
                      [ for value in values -> value.GetType().Name ]
                      kinds
                      "a value of each kind"

                  List.iter check values ]
