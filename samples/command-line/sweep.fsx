// A table of models, for `./localattention sweep samples/command-line/sweep.fsx`: what stands at the end is shown.
open LocalAttention.Dsl

[ for k in [ 3; 5; 7 ] -> QnAViT.tiny |> everyQna (windowSize k) |> named $"qna {k}×{k}" ]
@ [ for coefficient in 0.0 .. 2.0 -> Nat.mini |> compound coefficient |> named $"nat-mini, {coefficient}" ]
|> Sweep.over [ Column.name; Column.blocks; Column.lastMap; Column.parameters; Column.gmacs ]
|> Sweep.sortBy "GMACs"
